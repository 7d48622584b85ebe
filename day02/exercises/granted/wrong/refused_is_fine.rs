// expect: E-RESULT
// why: A refused ring is reported by no line and an exit code of 0.

use std::env;

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;
    let cq_entries: u32 = args.next().context("usage: granted ENTRIES CQ_ENTRIES")?.parse()?;

    let built: std::io::Result<IoUring> =
        IoUring::builder().setup_cqsize(cq_entries).setup_clamp().build(entries);
    let Ok(ring) = built else {
        return Ok(());
    };

    let granted = ring.params();
    println!("sq {} cq {}", granted.sq_entries(), granted.cq_entries());
    Ok(())
}
