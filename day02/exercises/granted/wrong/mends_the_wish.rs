// expect: E-SETUP
// why: Where the kernel would refuse, asks for something else and reports that.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let cq_entries = cq_entries.max(entries);
    let ring: IoUring = IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries)?;

    let granted = ring.params();
    println!("sq {} cq {}", granted.sq_entries(), granted.cq_entries());
    Ok(())
}
