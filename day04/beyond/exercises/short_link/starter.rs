//! short_link: the last piece is short.
//!
//! `short_link FROM TO` copies a file in pieces of 64 bytes, each by a chain of
//! a READ and a WRITE.
//!
//! Run it: `cargo run --bin short_link -- Cargo.toml /tmp/copy`

use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};

const PIECE: usize = 64;
const READ: u64 = 1;
const WRITE: u64 = 2;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    ensure!(args.len() == 2, "usage: short_link FROM TO");
    let (from, to) = (File::open(&args[0])?, File::create(&args[1])?);
    copy(&mut IoUring::new(8)?, &from, &to)
}

fn copy(ring: &mut IoUring, from: &File, to: &File) -> Result<()> {
    let (from, to) = (Fd(from.as_raw_fd()), Fd(to.as_raw_fd()));
    let mut buffer = [0; PIECE];
    let mut offset = 0;
    loop {
        let read = opcode::Read::new(from, buffer.as_mut_ptr(), PIECE as u32)
            .offset(offset)
            .build()
            .flags(Flags::IO_LINK)
            .user_data(READ);
        let write = |length: usize| {
            opcode::Write::new(to, buffer.as_ptr(), length as u32)
                .offset(offset)
                .build()
                .user_data(WRITE)
        };
        let [length, written] = both(ring, &[read, write(PIECE)])?;
        // TODO: a short READ is not the end, and its bytes are lost here.
        if length < PIECE {
            return Ok(());
        }
        ensure!(written == PIECE, "a part of a piece has no room");
        offset += length as u64;
    }
}

/// Submits the entries and waits for them. Returns how many bytes were read,
/// and how many written: 0 for a cancelled entry.
fn both(ring: &mut IoUring, entries: &[Entry]) -> Result<[usize; 2]> {
    // SAFETY: they use the caller's buffer, and have completed at our return.
    unsafe { ring.submission().push_multiple(entries) }?;
    ring.submit_and_wait(entries.len())?;
    let mut moved = [0, 0];
    for completion in ring.completion() {
        let result = completion.result();
        if result != -libc::ECANCELED {
            ensure!(result >= 0, io::Error::from_raw_os_error(-result));
            moved[completion.user_data() as usize - 1] = result as usize;
        }
    }
    Ok(moved)
}
