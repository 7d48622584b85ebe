// expect: E-ENTERS
// why: Four NOPs by one call, and four by another.

use std::env;

use anyhow::Result;
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let tags: Vec<u64> = env::args().skip(1).map(|tag| tag.parse()).collect::<Result<_, _>>()?;
    let mut ring = IoUring::new(8)?;
    send(&mut ring, &tags)
}

/// Sends a NOP for each tag, and prints the tags that come back.
fn send(ring: &mut IoUring, tags: &[u64]) -> Result<()> {
    for (index, &tag) in tags.iter().enumerate() {
        if index == 4 {
            ring.submit()?;
        }
        let entry = opcode::Nop::new().build().user_data(tag);
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit_and_wait(tags.len())?;
    for completion in ring.completion() {
        println!("{}", completion.user_data());
    }
    Ok(())
}
