// Another way: the sizes from the queues.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let mut ring: IoUring =
        IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries)?;

    let sq = ring.submission().capacity();
    let cq = ring.completion().capacity();
    println!("sq {sq} cq {cq}");
    Ok(())
}
