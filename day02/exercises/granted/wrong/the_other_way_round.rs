// expect: E-OUTPUT
// why: The two sizes are printed in the wrong places.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let ring: IoUring = IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries)?;

    let granted = ring.params();
    println!("sq {} cq {}", granted.cq_entries(), granted.sq_entries());
    Ok(())
}
