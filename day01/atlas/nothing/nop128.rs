//! NOP128: do nothing, in an entry of 128 bytes.
//!
//! Since 6.19. Stands for no call; liburing: `io_uring_prep_nop128`; crate: none
//! (`atlas::raw::nop128`).
//! For a ring whose entries have 64 bytes but for some that have 128 (`IORING_SETUP_SQE_MIXED`):
//! such an entry takes two places of the queue. Returns 0.

use atlas::raw;
use atlas::{Ask, Entry, Page, Result};
use common::catalog::SETUP_FLAGS;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_NOP128"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let asked = "a ring for entries of both sizes";
    let built = raw::ring(4, SETUP_FLAGS.code("SQE_MIXED"));
    let Some(mut ring) = page.call_since("IORING_SETUP_SQE_MIXED", asked, built)? else {
        return Ok(());
    };
    let nop = |asked: &str| Ask::new(asked, opcode::Nop::new().build());
    let nop128 = |asked: &str| Ask::new_128(asked, raw::nop128());
    let why = "its second half would be the queue's first place: put a NOP before it";
    // SAFETY: here and below, entries that do nothing point at no memory.
    unsafe {
        page.ask_all(&mut ring, [nop("NOP"), nop128("NOP128 in places 1 and 2")])?;
        let at_the_end = nop128("NOP128 in places 3 and 0").refused(Errno::EINVAL, why);
        page.ask_all(&mut ring, [at_the_end])?;
    }
    let mut plain = IoUring::new(4)?;
    let why = "this ring has entries of 64 bytes only";
    let entry = nop128("NOP128 in a ring without SQE_MIXED").refused(Errno::EINVAL, why);
    // SAFETY: as above.
    unsafe { page.ask_all(&mut plain, [entry]) }.map(drop)
}
// ANCHOR_END: show
