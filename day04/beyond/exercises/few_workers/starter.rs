//! few_workers: move the bytes of many FIFOs to the standard output.
//!
//! `few_workers FIFO…` moves them by SPLICE. It must have few worker threads
//! although most FIFOs are silent.
//!
//! Run it:
//! `cargo run --bin few_workers -- /tmp/a /tmp/b | cat`

use std::env;
use std::fs::File;
use std::os::fd::AsRawFd;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode, types::Fd};

/// The most that one SPLICE moves.
const MOST: u32 = 4096;

fn main() -> Result<()> {
    let mut pipes = Vec::new();
    for path in env::args().skip(1) {
        pipes.push(File::open(&path).context(path)?);
    }
    ensure!(!pipes.is_empty(), "usage: few_workers FIFO…");
    forward(&mut IoUring::new(64)?, &pipes)
}

/// Moves bytes until every pipe has ended.
fn forward(ring: &mut IoUring, pipes: &[File]) -> Result<()> {
    for nth in 0..pipes.len() {
        add(ring, pipes, nth)?;
    }
    let mut open = pipes.len();
    while open > 0 {
        ring.submit_and_wait(1)?;
        let done: Vec<_> = ring.completion().collect();
        for completion in done {
            let result = completion.result();
            ensure!(result >= 0, "it failed: {result}");
            match completion.user_data() {
                _ if result == 0 => open -= 1,
                nth => add(ring, pipes, nth as usize)?,
            }
        }
    }
    Ok(())
}

/// Pushes the entry that moves the next bytes of a pipe.
fn add(ring: &mut IoUring, pipes: &[File], nth: usize) -> Result<()> {
    let pipe = Fd(pipes[nth].as_raw_fd());
    // TODO: this SPLICE goes to a worker, and blocks it until the pipe has
    // bytes. First wait for them in another way.
    let splice = opcode::Splice::new(pipe, -1, Fd(1), -1, MOST)
        .build()
        .user_data(nth as u64);
    // SAFETY: the entry points at no memory.
    unsafe { ring.submission().push(&splice) }?;
    Ok(())
}
