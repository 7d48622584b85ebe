// Another way: takes and enters until the overflow flag is clear, with queues of its own.

use std::env;

use anyhow::{Context, Result};
use io_uring::{IoUring, opcode};

fn main() -> Result<()> {
    let mut args = env::args().skip(1);
    let count: usize = args.next().context("usage: overflow COUNT FIRST")?.parse()?;
    let first: u64 = args.next().context("usage: overflow COUNT FIRST")?.parse()?;
    let mut ring = IoUring::builder().setup_cqsize(8).build(8)?;
    submit(&mut ring, count, first)?;
    collect(&mut ring, count)
}

/// Submits all of them, eight at a time. Leave this as it is.
fn submit(ring: &mut IoUring, count: usize, first: u64) -> Result<()> {
    for tag in (first..).take(count) {
        let entry = opcode::Nop::new().build().user_data(tag);
        if ring.submission().is_full() {
            ring.submit()?;
        }
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&entry) }?;
    }
    ring.submit()?;
    Ok(())
}

/// Prints the tags of all `count` completions.
fn collect(ring: &mut IoUring, count: usize) -> Result<()> {
    let (submitter, mut sq, mut cq) = ring.split();
    let mut tags = Vec::with_capacity(count);
    loop {
        cq.sync();
        tags.extend(cq.by_ref().map(|completion| completion.user_data()));
        cq.sync();
        sq.sync();
        if !sq.cq_overflow() {
            break;
        }
        let getevents = io_uring::EnterFlags::GETEVENTS.bits();
        // SAFETY: no argument structure: the kernel reads no memory but the queues.
        unsafe { submitter.enter::<libc::sigset_t>(0, 0, getevents, None) }?;
    }
    for tag in tags {
        println!("{tag}");
    }
    Ok(())
}
