//! few_workers: what arrives in many FIFOs goes to the standard output.
//!
//! `few_workers FIFO…` moves it by SPLICE, and has few worker threads although
//! most FIFOs are silent.
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
/// Added to a pipe's number in the `user_data` of its POLL_ADD.
const READY: u64 = 1 << 32;

fn main() -> Result<()> {
    let open = |path: String| File::open(&path).context(path);
    let pipes: Vec<File> =
        env::args().skip(1).map(open).collect::<Result<_>>()?;
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
                nth if nth >= READY => {
                    let nth = nth - READY;
                    let pipe = Fd(pipes[nth as usize].as_raw_fd());
                    let splice = opcode::Splice::new(pipe, -1, Fd(1), -1, MOST)
                        .build()
                        .user_data(nth);
                    // SAFETY: the entry points at no memory.
                    unsafe { ring.submission().push(&splice) }?;
                }
                _ if result == 0 => open -= 1,
                _ => {}
            }
        }
    }
    Ok(())
}

/// Pushes the entry that moves the next bytes of a pipe.
fn add(ring: &mut IoUring, pipes: &[File], nth: usize) -> Result<()> {
    let pipe = Fd(pipes[nth].as_raw_fd());
    let poll = opcode::PollAdd::new(pipe, libc::POLLIN as u32)
        .multi(true)
        .build()
        .user_data(READY + nth as u64);
    // SAFETY: the entry points at no memory.
    unsafe { ring.submission().push(&poll) }?;
    Ok(())
}
