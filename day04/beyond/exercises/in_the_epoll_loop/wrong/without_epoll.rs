//! in_the_epoll_loop: prints what comes through some FIFOs.
//!
//! `in_the_epoll_loop FIFO FIFO…` waits for the first one in an epoll loop, as
//! an old program does, and reads the others by a ring in that loop.
//!
//! Run it: `cargo run --bin in_the_epoll_loop -- /tmp/a /tmp/b`

use std::env;
use std::fs::File;
use std::io::{Write, stdout};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types::Fd};

const PIECE: usize = 64;

fn main() -> Result<()> {
    let mut files = Vec::new();
    for path in env::args().skip(1) {
        files.push(File::open(&path).context(path)?);
    }
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .build(64)?;
    let pieces = vec![[0; PIECE]; files.len()].leak();
    for nth in 0..files.len() {
        add(&mut ring, &files, pieces, nth)?;
    }
    let mut open = files.len();
    while open > 0 {
        ring.submit_and_wait(1)?;
        let done: Vec<_> = ring.completion().collect();
        for completion in done {
            let (nth, result) = (completion.user_data(), completion.result());
            ensure!(result >= 0, "READ: {result}");
            let (nth, length) = (nth as usize, result as usize);
            stdout().write_all(&pieces[nth][..length])?;
            if length == 0 {
                open -= 1;
            } else {
                add(&mut ring, &files, pieces, nth)?;
            }
        }
    }
    Ok(())
}

fn add(
    ring: &mut IoUring,
    files: &[File],
    pieces: &mut [[u8; PIECE]],
    nth: usize,
) -> Result<()> {
    let (fd, piece) = (files[nth].as_raw_fd(), &mut pieces[nth]);
    let read = opcode::Read::new(Fd(fd), piece.as_mut_ptr(), PIECE as u32)
        .offset(u64::MAX)
        .build()
        .user_data(nth as u64);
    // SAFETY: the piece is never freed, and has one READ at a time.
    unsafe { ring.submission().push(&read) }?;
    Ok(())
}
