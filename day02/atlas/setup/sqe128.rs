//! SQE128: submission queue entries of 128 bytes.
//!
//! Since 5.19. liburing: `io_uring_queue_init`; crate: `IoUring<squeue::Entry128, _>`.
//! Only commands use the second half (`IORING_OP_URING_CMD`: 80 bytes for an NVMe disk instead of
//! 16). All other operations ignore it, and the queue takes twice the memory: SQE_MIXED (6.19) has
//! both sizes in one queue.

use atlas::{Entry, Page, Result, raw};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;

use super::flag;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_SQE128"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let before = look::mapped_rings()?;
    let plain = IoUring::new(64)?;
    let of_64 = look::mapped_rings()? - before;
    let built = IoUring::<squeue::Entry128, cqueue::Entry>::builder().build(64);
    let Some(mut ring) = page.call_since("IORING_SETUP_SQE128", "64 entries, SQE128", built)?
    else {
        return Ok(());
    };
    let of_128 = look::mapped_rings()? - before - of_64;
    page.note("memory of 64 entries of 64 bytes", of_64);
    page.note("memory of 64 entries of 128 bytes", of_128);
    page.saw("the difference is 64 × 64 bytes", of_128 - of_64 == 64 * 64)?;
    drop(plain);

    // SAFETY: a NOP points at no memory.
    unsafe {
        page.ask("NOP, whose second half is ignored", &mut ring, opcode::Nop::new().build())
    }?;

    strides_of_64(page)?;
    let why = "the queue has one size, or both: not 128 and a mix";
    let mixed = raw::ring(4, flag("SQE128") | flag("SQE_MIXED"));
    page.call_refused("SQE128, SQE_MIXED", mixed, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// The classic mistake: entries every 64 bytes, as in any other ring.
fn strides_of_64(page: &mut Page) -> Result<()> {
    // It is mapped as a ring with 64-byte entries, which is the mistake. The mapping is smaller
    // than what the kernel made, so nothing is written outside.
    // SAFETY: only NOPs are pushed, which point at no memory.
    let built = unsafe { raw::ring_taken_for_plain(4, flag("SQE128")) };
    let mut ring = page.call("a ring with SQE128, taken for one without", built)?;
    for number in [1, 2] {
        // SAFETY: a NOP points at no memory; nor do the zeros behind it.
        unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(number)) }?;
    }
    ring.submit_and_wait(2)?;
    let numbers: Vec<u64> = ring.completion().map(|completion| completion.user_data()).collect();
    page.note("NOPs 1 and 2, 64 bytes apart, complete as", format!("{numbers:?}"));
    page.saw("the kernel skipped 2 and ran the zeros behind it", numbers == [1, 0])
}
