//! ring_fd: a registration that takes effect.
//!
//! `ring_fd COUNT FIRST` registers the ring's own descriptor and sends COUNT
//! NOPs, one after the other, tagged FIRST, FIRST + 1, …. Every enter must name
//! the ring by its registered index, which saves the kernel a look into the
//! process's table of descriptors. This starter registers the ring, but every
//! enter still names the descriptor. Why?
//!
//! Run it: `cargo run --bin ring_fd -- 5 1000`

use std::env;

use anyhow::{Context, Result, ensure};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize =
        args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let first: u64 =
        args.next().context("usage: ring_fd COUNT FIRST")?.parse()?;
    let mut ring = IoUring::new(8)?;
    send(&mut ring, count, first)
}

/// Registers the ring, and sends the NOPs one after the other.
fn send(ring: &mut IoUring, count: usize, first: u64) -> Result<()> {
    // TODO: `ring.submitter()` makes a new submitter at every call. Which one
    // knows the index?
    ring.submitter().register_ring_fd()?;
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
        ring.submit_and_wait(1)?;
        let completion =
            ring.completion().next().context("a wait without a completion")?;
        ensure!(completion.user_data() == tag, "a completion of another NOP");
    }
    Ok(())
}
