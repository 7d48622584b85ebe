//! ring_fd: a registration that takes effect.
//!
//! `ring_fd COUNT FIRST` registers the ring's own descriptor and sends COUNT
//! NOPs, one after the other, tagged FIRST, FIRST + 1, …. Every enter names the
//! ring by its registered index.
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
    let (mut submitter, mut sq, mut cq) = ring.split();
    //   ^^^^^^^^^^^^^ one submitter for the whole life of the ring: only the
    //                 one that registered it knows the index, and
    //                 `ring.submit_and_wait` makes a new one
    submitter.register_ring_fd()?;
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { sq.push(&entry) }?;
        sq.sync();
        // ^^^^ these queues are not dropped, so this publishes the tail: the
        //      kernel sees the push
        submitter.submit_and_wait(1)?;
        cq.sync();
        // ^^^^ this reads the kernel's tail, and publishes our head, which
        //      frees the entries we took
        let completion = cq.next().context("a wait without a completion")?;
        ensure!(completion.user_data() == tag, "a completion of another NOP");
    }
    Ok(())
}
