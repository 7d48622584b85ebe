//! granted: the sizes that a program asks for, and those that the kernel
//! grants.
//!
//! `granted ENTRIES CQ_ENTRIES` sets up a ring with these two sizes and prints
//! one line: `sq N cq M`. This starter prints what it asked for. The kernel
//! rounds the sizes up, and cuts them if you allow it. It writes the sizes that
//! it chose back into the parameters: print those.
//!
//! Run it: `cargo run --bin granted -- 100 333`

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 =
        args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 =
        args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    // TODO: ask for a completion queue of `cq_entries`, and for sizes that are
    // too large to be cut down (IORING_SETUP_CLAMP) rather than refused.
    let _ring: IoUring = IoUring::builder().build(entries)?;

    // TODO: the sizes that the ring really has.
    println!("sq {entries} cq {cq_entries}");
    Ok(())
}
