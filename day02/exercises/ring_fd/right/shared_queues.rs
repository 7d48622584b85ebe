use std::env;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize =
        args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let first: u64 =
        args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let ring = IoUring::new(8)?;
    send(&ring, count, first)
}

/// Registers the ring, and sends the NOPs one after the other.
fn send(ring: &IoUring, count: usize, first: u64) -> Result<()> {
    let mut submitter = ring.submitter();
    submitter.register_ring_fd()?;
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission_shared().push(&entry) }?;
        submitter.submit_and_wait(1)?;
        // SAFETY: no other completion queue of this ring is there.
        let next = unsafe { ring.completion_shared().next() };
        let completion = next.context("a wait without a completion")?;
        ensure!(completion.user_data() == tag, "a completion of another NOP");
    }
    Ok(())
}
