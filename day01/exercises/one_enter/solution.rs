//! one_enter: eight operations, one system call.
//!
//! `one_enter TAG…` gets eight numbers, sends a NOP with each of them as
//! `user_data`, and prints the `user_data` of every completion, one a line.
//!
//! Run it: `cargo run --bin one_enter -- 1 2 3 4 5 6 7 8`

use std::env;

use anyhow::Result;
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let tags: Vec<u64> =
        env::args().skip(1).map(|tag| tag.parse()).collect::<Result<_, _>>()?;
    let mut ring = IoUring::new(8)?;
    send(&mut ring, &tags)
}

/// Sends a NOP for each tag, and prints the tags that come back.
fn send(ring: &mut IoUring, tags: &[u64]) -> Result<()> {
    for &tag in tags {
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
        //       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ writes to memory that the kernel
        //                                      shares; the kernel does not
        //                                      know of it yet
    }
    ring.submit_and_wait(tags.len())?;
    // ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ one call submits all of them and waits
    //                               for all of them
    for completion in ring.completion() {
        //                 ^^^^^^^^^^ taking a completion is reading memory: no
        //                            system call either
        println!("{}", completion.user_data());
    }
    Ok(())
}
