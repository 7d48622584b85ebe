//! CQE_MIXED: completions of 16 and of 32 bytes in one queue.
//!
//! Since 6.18. liburing: `io_uring_queue_init`; crate: none (`atlas::raw::ring`).
//! A large completion has `IORING_CQE_F_32` and takes two places. It never goes round the end of
//! the queue: a filler with `IORING_CQE_F_SKIP` takes the last place instead. A program that steps
//! by one place reads garbage.

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, raw};
use common::catalog::NOP_FLAGS;
use io_uring::{opcode, squeue};
use nix::errno::Errno;

use super::flag;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_SETUP_CQE_MIXED", "IORING_CQE_F_32", "IORING_CQE_F_SKIP"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = raw::ring(4, flag("CQE_MIXED"));
    let name = "IORING_SETUP_CQE_MIXED";
    let Some(mut ring) = page.call_since(name, "4 entries, CQE_MIXED", built)? else {
        return Ok(());
    };
    page.note("places in the completion queue", ring.params().cq_entries());

    // SAFETY: here and below, a NOP points at no memory: `addr` is a number that comes back.
    let small = unsafe { page.ask("NOP: place 0", &mut ring, opcode::Nop::new().build()) }?;
    page.saw("it took 16 bytes", small.flags & F_32 == 0)?;
    for places in ["1 and 2", "3 and 4", "5 and 6"] {
        let asked = format!("NOP with NOP_CQE32: places {places}");
        // SAFETY: as above.
        let answer = unsafe { page.ask(&asked, &mut ring, large()) }?;
        page.saw(
            "32 bytes, with both numbers",
            answer.flags & F_32 != 0 && answer.extra == [7, 8],
        )?;
    }
    // Place 7 is the last: a filler takes it. Now read place by place, like a program that knows
    // only one size. This is the classic mistake.
    // SAFETY: as above.
    unsafe { ring.submission().push(&large().user_data(9)) }?;
    ring.submit_and_wait(1)?;
    let places: Vec<_> =
        ring.completion().map(|entry| (entry.user_data(), entry.flags())).collect();
    page.note("one more, read by steps of 16 bytes, as", format!("{} completions", places.len()));
    page.saw("the first is the filler, F_SKIP", places[0].1 == F_SKIP)?;
    page.saw("the second is ours, F_32", places[1] == (9, F_32))?;
    page.saw("the third is its second half: user_data 7", places[2] == (7, 0))?;

    let why = "the queue has one size, or both: not 32 and a mix";
    let both = raw::ring(4, flag("CQE32") | flag("CQE_MIXED"));
    page.call_refused("CQE_MIXED, CQE32", both, Errno::EINVAL, why)
}
// ANCHOR_END: show

const F_32: u32 = common::catalog::COMPLETION_FLAGS.code("32");
const F_SKIP: u32 = common::catalog::COMPLETION_FLAGS.code("SKIP");

/// A NOP whose completion has 32 bytes: the second half is 7 and 8.
fn large() -> squeue::Entry {
    opcode::Nop::new().build().op_flags(NOP_FLAGS.code("CQE32")).off(7).addr(8)
}
