// expect: E-SETUP
// why: Sets up a ring of 8 whatever it is asked for.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let _cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let ring: IoUring = IoUring::builder().setup_clamp().build(entries.min(8))?;

    let granted = ring.params();
    println!("sq {} cq {}", granted.sq_entries(), granted.cq_entries());
    Ok(())
}
