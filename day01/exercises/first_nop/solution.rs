//! first_nop: submit an entry and take its completion, which carries your tag.
//!
//! The program gets a tag as its argument, sends a NOP with it through the
//! ring, and prints what came back.
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

    let nop = opcode::Nop::new().build().user_data(tag);
    //                                  ^^^^^^^^^^^^^^^
    // the kernel copies it to the completion

    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&nop)? };

    ring.submit_and_wait(1)?;
    // ^^^^^^^^^^^^^^^^^ one system call: the kernel takes the entry and waits
    //                   for one completion

    let completion = ring.completion().next().context("no completion")?;
    //               ^^^^^^^^^^^^^^^^^^^^^^^^ taking it makes room in the queue
    //                                        again
    println!(
        "{} came back with {}",
        completion.user_data(),
        completion.result()
    );
    Ok(())
}
