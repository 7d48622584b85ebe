// Another way: without cutting first, and cut if that was refused.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let ring: IoUring = IoUring::builder()
        .setup_cqsize(cq_entries)
        .build(entries)
        .or_else(|_| IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries))?;

    let granted = ring.params();
    println!("sq {} cq {}", granted.sq_entries(), granted.cq_entries());
    Ok(())
}
