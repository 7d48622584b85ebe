//! read_at: a piece out of the middle of a file.
//!
//! `read_at FILE OFFSET BYTES` prints the BYTES bytes that begin at OFFSET, and
//! nothing else. This starter prints the first BYTES of the file, and zeros
//! where it has fewer.
//!
//! Run it: `cargo run --bin read_at -- Cargo.toml 100 20`

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsRawFd;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode, types};

fn main() -> Result<()> {
    let mut args = std::env::args().skip(1);
    let mut next = || args.next().context("usage: read_at FILE OFFSET BYTES");
    let file = File::open(next()?)?;
    let (_offset, bytes): (u64, usize) = (next()?.parse()?, next()?.parse()?);

    let mut ring = IoUring::new(8)?;
    let mut buffer = vec![0; bytes];
    let fd = types::Fd(file.as_raw_fd());
    // TODO: the entry has to say where to read.
    let read = opcode::Read::new(fd, buffer.as_mut_ptr(), bytes as u32).build();
    // SAFETY: the buffer outlives the wait below, and has room for `bytes`.
    unsafe { ring.submission().push(&read)? };
    ring.submit_and_wait(1)?;

    // TODO: what does the completion say of the bytes?
    let _completion = ring.completion().next().context("no completion")?;
    io::stdout().write_all(&buffer)?;
    Ok(())
}
