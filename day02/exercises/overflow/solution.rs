//! overflow: more completions than the queue holds, and none lost.
//!
//! `overflow COUNT FIRST` sends COUNT NOPs through a ring whose completion
//! queue holds eight, with the `user_data` FIRST, FIRST + 1, …, and takes no
//! completion before it has submitted the last NOP. Then it prints the
//! `user_data` of every completion, one a line.
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
    let mut printed = 0;
    loop {
        for completion in ring.completion() {
            println!("{}", completion.user_data());
            printed += 1;
        }
        if printed >= count {
            return Ok(());
        }
        ring.submit_and_wait(1)?;
        // ^^^^^^^^^^^^^^^^^ the queue is empty now: there is room for the next
        //                   eight. The kernel moves them when the program
        //                   enters with IORING_ENTER_GETEVENTS, and not before
    }
}
