//! NAME: TODO: what the program does, in a line.
//!
//! TODO: what it gets, and what is missing in this starter.
//!
//! Run it: `cargo run --bin NAME -- 17`

use anyhow::{Context, Result};
use io_uring::IoUring;

fn main() -> Result<()> {
    let tag: u64 =
        std::env::args().nth(1).context("usage: NAME TAG")?.parse()?;
    let ring = IoUring::new(8)?;

    // TODO: what the learner must write here.
    println!("the tag is {tag}; {} entries fit", ring.params().sq_entries());
    Ok(())
}
