//! CQE32: completions of 32 bytes.
//!
//! Since 5.19. liburing: `io_uring_queue_init`; crate: `IoUring<_, cqueue::Entry32>`, whose
//! completions have `big_cqe()`.
//! The second half is for commands (an NVMe disk's result), zero-copy receives (where the bytes
//! are) and send timestamps. The queue takes twice the memory: CQE_MIXED (6.18) has both sizes.

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, raw};
use common::catalog::NOP_FLAGS;
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;

use super::flag;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_CQE32"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let before = look::mapped_rings()?;
    let mut plain = IoUring::new(64)?;
    let of_16 = look::mapped_rings()? - before;
    let built = IoUring::<squeue::Entry, cqueue::Entry32>::builder().build(64);
    let Some(mut ring) = page.call_since("IORING_SETUP_CQE32", "64 entries, CQE32", built)? else {
        return Ok(());
    };
    let of_32 = look::mapped_rings()? - before - of_16;
    page.note("memory of 128 completions of 16 bytes, and 64 entries", of_16);
    page.note("memory of 128 completions of 32 bytes, and 64 entries", of_32);
    page.saw("it is more", of_32 > of_16)?;

    let nop = opcode::Nop::new().build();
    // SAFETY: here and below, a NOP points at no memory: `addr` is a number that comes back.
    unsafe { page.ask("NOP, whose second half is zeros", &mut ring, nop.clone()) }?;
    let large = nop.op_flags(NOP_FLAGS.code("CQE32")).off(7).addr(8);
    let (name, asked) = ("IORING_NOP_CQE32", "NOP with NOP_CQE32, off 7, addr 8");
    // SAFETY: as above.
    let Some(answer) = (unsafe { page.ask_since(name, asked, &mut ring, large.clone()) })? else {
        return Ok(());
    };
    page.saw("the second half brought both numbers", answer.extra == [7, 8])?;

    let why = "this ring's completions have 16 bytes: a large one would not fit";
    // SAFETY: as above.
    unsafe {
        page.refused("the same on a ring without CQE32", &mut plain, large, Errno::EINVAL, why)
    }?;
    let why = "the queue has one size, or both: not 32 and a mix";
    let mixed = raw::ring(4, flag("CQE32") | flag("CQE_MIXED"));
    page.call_refused("CQE32, CQE_MIXED", mixed, Errno::EINVAL, why)
}
// ANCHOR_END: show
