//! overflow: more completions than the queue holds, and none lost.
//!
//! `overflow COUNT FIRST` sends COUNT NOPs through a ring whose completion
//! queue holds eight, with the `user_data` FIRST, FIRST + 1, …, and takes no
//! completion before it has submitted the last NOP. Then it must print the
//! `user_data` of every completion, one a line. This starter prints eight, and
//! ends: the kernel still keeps the completions that did not fit into the
//! queue.
//!
//! Run it: `cargo run --bin overflow -- 30 1000`

use std::env;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize =
        args.next().context("usage: overflow COUNT FIRST")?.parse()?;
    let first: u64 =
        args.next().context("usage: overflow COUNT FIRST")?.parse()?;
    let mut ring = IoUring::builder().setup_cqsize(8).build(8)?;
    submit(&mut ring, count, first)?;
    collect(&mut ring, count)
}

/// Submits all of them, eight at a time. Leave this as it is.
fn submit(ring: &mut IoUring, count: usize, first: u64) -> Result<()> {
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        if ring.submission().is_full() {
            ring.submit()?;
        }
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit()?;
    Ok(())
}

/// Prints the tags of all `count` completions.
fn collect(ring: &mut IoUring, count: usize) -> Result<()> {
    // TODO: the queue holds 8 of them. Where are the others, and which call
    // fetches them?
    let mut printed = 0;
    for completion in ring.completion() {
        println!("{}", completion.user_data());
        printed += 1;
    }
    eprintln!("{printed} of {count}");
    Ok(())
}
