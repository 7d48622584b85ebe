//! FEAT_NODROP: completions that do not fit are kept.
//!
//! Since 5.5. When the completion queue is full, the kernel keeps what does not fit outside, and
//! sets `IORING_SQ_CQ_OVERFLOW` (5.8). They come into the queue in an enter with
//! `IORING_ENTER_GETEVENTS`, and at no other time. Only without memory are completions lost.

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode};

use super::ring_with;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_NODROP", "IORING_SQ_CQ_OVERFLOW"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_NODROP";
    let has = |params: &io_uring::Parameters| params.is_feature_nodrop();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    page.note("places in the completion queue", ring.params().cq_entries());
    for number in 1..=12 {
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&opcode::Nop::new().build().user_data(number)) }?;
        ring.submit()?;
    }
    page.note("12 NOPs", "completed, and not reaped");
    page.saw("IORING_SQ_CQ_OVERFLOW is set", ring.submission().cq_overflow())?;
    page.saw("the queue's count of lost ones is 0", ring.completion().overflow() == 0)?;
    let waiting = look::fdinfo(&ring, "CqTail")?;
    page.saw("/proc/self/fdinfo: CqTail 8", waiting.is_none_or(|tail| tail == "8"))?;

    page.saw("the first 8 are in the queue", reap(&mut ring) == [1, 2, 3, 4, 5, 6, 7, 8])?;
    page.saw("to look again brings nothing: the mistake", reap(&mut ring).is_empty())?;
    page.call("an enter with GETEVENTS", ring.submit())?;
    page.saw("the other 4, in their order", reap(&mut ring) == [9, 10, 11, 12])?;
    page.saw("IORING_SQ_CQ_OVERFLOW is clear", !ring.submission().cq_overflow())
}
// ANCHOR_END: show

fn reap(ring: &mut IoUring) -> Vec<u64> {
    ring.completion().map(|completion| completion.user_data()).collect()
}
