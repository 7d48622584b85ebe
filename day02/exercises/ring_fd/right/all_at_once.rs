// Another way: all of them in one call by the index.

use std::env;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize = args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let first: u64 = args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let mut ring = IoUring::new(64)?;
    send(&mut ring, count, first)
}

/// Registers the ring, and sends the NOPs one after the other.
fn send(ring: &mut IoUring, count: usize, first: u64) -> Result<()> {
    let (mut submitter, mut sq, mut cq) = ring.split();
    submitter.register_ring_fd()?;
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { sq.push(&entry) }?;
    }
    sq.sync();
    submitter.submit_and_wait(count)?;
    cq.sync();
    for tag in (first..).take(count) {
        let completion = cq.next().context("a wait without a completion")?;
        ensure!(completion.user_data() == tag, "a completion of another NOP");
    }
    submitter.unregister_ring_fd()?;
    Ok(())
}
