// expect: E-NO-ENTRY
// why: Registers the ring, and enters it once with nothing to do.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize = args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let first: u64 = args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let mut ring = IoUring::new(8)?;
    send(&mut ring, count, first)
}

/// Registers the ring, and sends the NOPs one after the other.
fn send(ring: &mut IoUring, count: usize, first: u64) -> Result<()> {
    let mut submitter = ring.submitter();
    submitter.register_ring_fd()?;
    submitter.submit()?;
    let _ = (count, first);
    Ok(())
}
