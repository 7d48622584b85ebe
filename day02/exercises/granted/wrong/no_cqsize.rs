// expect: E-SETUP
// why: Never asks for the completion queue: it is twice the other, as always.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let _cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let ring: IoUring = IoUring::builder().setup_clamp().build(entries)?;

    let granted = ring.params();
    println!("sq {} cq {}", granted.sq_entries(), granted.cq_entries());
    Ok(())
}
