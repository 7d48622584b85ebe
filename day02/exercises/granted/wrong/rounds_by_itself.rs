// expect: E-OUTPUT
// why: Works the answer out: rounds up to a power of two, and knows nothing of the largest size.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let _ring: IoUring =
        IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries)?;

    println!("sq {} cq {}", entries.next_power_of_two(), cq_entries.next_power_of_two());
    Ok(())
}
