//! granted: what was asked for, and what was granted.
//!
//! `granted ENTRIES CQ_ENTRIES` sets up a ring with these two sizes and prints
//! one line: `sq N cq M`. This starter prints what it asked for. The kernel
//! rounds, and cuts if you allow it, and writes the sizes that it chose back
//! into the parameters: print those.
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

    // TODO: what the ring really has.
    println!("sq {entries} cq {cq_entries}");
    Ok(())
}
