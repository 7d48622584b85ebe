//! SQ_REWIND: each submit reads the entries from the first one on.
//!
//! Since 7.0, with NO_SQARRAY. liburing: `io_uring_queue_init`; crate: none (`atlas::own_ring`).
//! The submission queue is no longer a ring: no head, no tail. The program fills the entries from
//! place 0, and the number that it gives to enter says how many. So the entries in use stay in few
//! cache lines. A program that submits more than it filled in runs old entries once more.

use atlas::own_ring::OwnRing;
use atlas::{Entry, Page, Result, raw};
use io_uring::opcode;
use nix::errno::Errno;

use super::flag;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_SQ_REWIND"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (name, asked) = ("IORING_SETUP_SQ_REWIND", "4 entries, NO_SQARRAY, SQ_REWIND");
    let built = OwnRing::setup(4, flag("NO_SQARRAY") | flag("SQ_REWIND"));
    let Some(mut ring) = page.call_since(name, asked, built)? else { return Ok(()) };
    page.call("NOPs 1, 2, 3 in places 0 to 2, submit 3", submit(&mut ring, &[1, 2, 3], 3))?;
    page.saw("they completed in order", completed(&mut ring) == [1, 2, 3])?;
    page.call("NOP 4 in place 0, submit 1", submit(&mut ring, &[4], 1))?;
    page.saw("the kernel read place 0 again", completed(&mut ring) == [4])?;
    page.saw("the queue's tail was never moved", ring.tail() == 0)?;

    page.call("NOP 5 in place 0, submit 3: the mistake", submit(&mut ring, &[5], 3))?;
    page.saw("5 ran, and the old 2 and 3 once more", completed(&mut ring) == [5, 2, 3])?;
    let why = "it needs NO_SQARRAY: there is no order but that of the places";
    page.call_refused("SQ_REWIND alone", raw::ring(4, flag("SQ_REWIND")), Errno::EINVAL, why)?;
    let flags = flag("SQ_REWIND") | flag("NO_SQARRAY") | flag("SQPOLL");
    let why = "a poller needs the tail: no call tells it how many there are";
    page.call_refused("SQ_REWIND, SQPOLL", raw::ring(4, flags), Errno::EINVAL, why)
}
// ANCHOR_END: show

/// Puts NOPs with these numbers into the first places, submits `count` and waits for them.
fn submit(ring: &mut OwnRing, numbers: &[u64], count: u32) -> std::io::Result<u32> {
    for number in numbers {
        // SAFETY: a NOP points at no memory. Places that were never filled in are zeros: NOPs too.
        unsafe { ring.push(&opcode::Nop::new().build().user_data(*number)) };
    }
    ring.enter(count, count)
}

/// The numbers of the completions.
fn completed(ring: &mut OwnRing) -> Vec<u64> {
    std::iter::from_fn(|| ring.completion()).map(|answer| answer.user_data).collect()
}
