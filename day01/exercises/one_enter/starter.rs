//! one_enter: eight operations, one system call.
//!
//! `one_enter TAG…` gets eight numbers, sends a NOP with each of them as
//! `user_data`, and prints the `user_data` of every completion, one a line.
//! This starter prints the right lines, but wastes seven system calls: it
//! enters the kernel once for each operation. The queues hold eight.
//!
//! Run it: `cargo run --bin one_enter -- 1 2 3 4 5 6 7 8`

use std::env;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let tags: Vec<u64> =
        env::args().skip(1).map(|tag| tag.parse()).collect::<Result<_, _>>()?;
    let mut ring = IoUring::new(8)?;
    send(&mut ring, &tags)
}

/// Sends a NOP for each tag, and prints the tags that come back.
fn send(ring: &mut IoUring, tags: &[u64]) -> Result<()> {
    // TODO: one `submit_and_wait` for all of them.
    for &tag in tags {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
        ring.submit_and_wait(1)?;
        let completion =
            ring.completion().next().context("a wait without a completion")?;
        println!("{}", completion.user_data());
    }
    Ok(())
}
