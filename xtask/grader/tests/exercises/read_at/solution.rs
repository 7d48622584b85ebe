//! read_at: a piece out of the middle of a file.
//!
//! `read_at FILE OFFSET BYTES` prints the BYTES bytes that begin at OFFSET, and
//! nothing else, by one IORING_OP_READ.
//!
//! Run it: `cargo run --bin read_at -- Cargo.toml 100 20`

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: read_at FILE OFFSET BYTES");
    let file = File::open(next()?)?;
    let (offset, bytes): (u64, usize) = (next()?.parse()?, next()?.parse()?);

    let mut ring = IoUring::new(8)?;
    let mut buffer = vec![0; bytes];
    let fd = types::Fd(file.as_raw_fd());
    let read = opcode::Read::new(fd, buffer.as_mut_ptr(), bytes as u32)
        .offset(offset)
        // ^^^^^^^^^^^^ the entry says where, as pread(2) does; the file's own
        //              position is neither used nor moved
        .build();
    // SAFETY: the buffer outlives the wait below, and has room for `bytes`.
    unsafe { ring.submission().push(&read)? };
    ring.submit_and_wait(1)?;

    let completion = ring.completion().next().context("no completion")?;
    let result = completion.result();
    ensure!(result >= 0, "{}", io::Error::from_raw_os_error(-result));
    io::stdout().write_all(&buffer[..result as usize])?;
    //                             ^^^^^^^^^^^^^^^^^^ what was there:
    //                             near the end of a file it is fewer
    Ok(())
}
