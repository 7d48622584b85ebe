//! first_nop: submit an entry and take its completion, which carries your tag.
//!
//! The program gets a tag as its argument. It pushes a NOP and ends without a
//! submit, so the kernel does not see the entry. Set the tag on the entry,
//! submit it, and print what came back.
//!
//! Run it: `cargo run --bin first_nop -- 17`

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let tag: u64 = std::env::args()
        .nth(1)
        .context("say a tag: `first_nop 17`")?
        .parse()?;
    let mut ring = IoUring::new(8)?;

    // TODO: the entry has to carry the tag.
    let nop = opcode::Nop::new().build();

    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&nop)? };

    // TODO: submit it, wait for its completion, take that from the queue, and
    // print its user_data and its result.
    println!("the tag is {tag}; nothing has come back yet");
    Ok(())
}
