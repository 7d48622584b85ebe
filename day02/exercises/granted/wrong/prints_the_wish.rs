// expect: E-OUTPUT
// why: Asks for the right thing and prints what it asked for.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let _ring: IoUring =
        IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries)?;

    println!("sq {entries} cq {cq_entries}");
    Ok(())
}
