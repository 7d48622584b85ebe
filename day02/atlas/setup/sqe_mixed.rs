//! SQE_MIXED: entries of 64 and of 128 bytes in one queue.
//!
//! Since 6.19. liburing: `io_uring_queue_init`, `io_uring_get_sqe128`; crate: none
//! (`atlas::raw::ring`, `atlas::Ask::new_128`).
//! The operation says which size its entry has: NOP128 and URING_CMD128 take two places next to
//! each other. They never go round the end of the queue: the program fills the last place with a
//! NOP.

use atlas::raw::{self, Fields};
use atlas::{Ask, Entry, Page, Result};
use common::catalog::OPERATIONS;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::flag;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_SQE_MIXED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_SETUP_SQE_MIXED";
    let built = raw::ring(4, flag("SQE_MIXED"));
    let Some(mut ring) = page.call_since(name, "4 places, SQE_MIXED", built)? else {
        return Ok(());
    };
    let nop = opcode::Nop::new().build();
    // SAFETY: here and below, a NOP points at no memory.
    unsafe { page.ask("NOP: place 0", &mut ring, nop.clone()) }?;
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, [Ask::new_128("NOP128: places 1 and 2", raw::nop128())]) }?;
    page.saw("one completion for two places", ring.completion().is_empty())?;

    let why = "the two places must lie next to each other: put a NOP in the last one";
    let wrapped = Ask::new_128("NOP128: places 3 and 0, round the end", raw::nop128());
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, [wrapped.refused(Errno::EINVAL, why)]) }?;

    let mut plain = IoUring::new(4)?;
    let alone = nop.opcode(OPERATIONS.code("NOP128") as u8);
    let why = "the ring has places of 64 bytes only";
    // SAFETY: as above.
    unsafe { page.refused("NOP128 on a ring without", &mut plain, alone, Errno::EINVAL, why) }?;
    let why = "the queue has one size, or both: not 128 and a mix";
    let both = raw::ring(4, flag("SQE128") | flag("SQE_MIXED"));
    page.call_refused("SQE_MIXED, SQE128", both, Errno::EINVAL, why)
}
// ANCHOR_END: show
