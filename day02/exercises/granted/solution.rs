//! granted: the sizes that a program asks for, and those that the kernel
//! grants.
//!
//! `granted ENTRIES CQ_ENTRIES` sets up a ring with these two sizes and prints
//! the sizes that the kernel granted: `sq N cq M`.
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

    let ring: IoUring = IoUring::builder()
        .setup_cqsize(cq_entries)
        // ^^^^^^^^^^ without it: twice the submission queue
        .setup_clamp()
        // ^^^^^^^^^ without it: EINVAL for more than 32768 entries
        .build(entries)?;

    let granted = ring.params();
    //            ^^^^^^^^^^^^^ the structure that we asked with, after the
    //                          kernel wrote into it
    println!("sq {} cq {}", granted.sq_entries(), granted.cq_entries());
    Ok(())
}
