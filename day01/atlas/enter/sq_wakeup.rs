//! IORING_ENTER_SQ_WAKEUP: wake the thread that polls the submission queue.
//!
//! Since 5.1. liburing: `io_uring_submit`, where it is needed; crate: `submit`, likewise.
//! With `IORING_SETUP_SQPOLL`, a kernel thread takes entries from the queue without any call, until
//! it has found nothing for `sq_thread_idle`. Then it sets `IORING_SQ_NEED_WAKEUP` in the ring, and
//! sleeps. What is pushed from then on stays there until a call with this flag. Such a call returns
//! the number that it was asked to submit, whatever the thread takes.

use std::os::fd::AsRawFd;
use std::thread;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode};

use super::{GETEVENTS, NOTHING, SQ_WAKEUP, enter, polled_ring};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_ENTER_SQ_WAKEUP", "IORING_SQ_NEED_WAKEUP"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let Some(mut ring) = polled_ring(page, 4)? else { return Ok(()) };
    let fd = ring.as_raw_fd();
    while !ring.submission().need_wakeup() {
        thread::yield_now();
    }
    page.saw("the ring says NEED_WAKEUP", ring.submission().need_wakeup())?;

    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    let submitted = page.call("enter: submit a NOP", enter(fd, 1, 0, 0, NOTHING))?;
    page.note("it returned", submitted);
    page.note("completions of the NOP", ring.completion().len());
    let flags = SQ_WAKEUP | GETEVENTS;
    page.call("enter with SQ_WAKEUP: wait for 1", enter(fd, 0, 1, flags, NOTHING))?;
    page.saw("the NOP has completed", ring.completion().count() == 1)?;

    let submitted = page.call("enter: submit 100", enter(fd, 100, 0, 0, NOTHING))?;
    page.saw("it returned 100, though the queue is empty", submitted == 100)?;
    let plain = IoUring::new(4)?;
    let woken = enter(plain.as_raw_fd(), 0, 0, SQ_WAKEUP, NOTHING);
    page.call("enter with SQ_WAKEUP, without SQPOLL: ignored", woken).map(drop)
}
// ANCHOR_END: show
