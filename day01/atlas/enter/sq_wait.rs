//! IORING_ENTER_SQ_WAIT: wait until that thread has made room.
//!
//! Since 5.10. liburing: `io_uring_sqring_wait`; crate: `squeue_wait`.
//! With `IORING_SETUP_SQPOLL` the program does not see when the kernel thread takes entries, so
//! when the queue is full, this call waits until it is not. If the thread sleeps, wake it in the
//! same call with `IORING_ENTER_SQ_WAKEUP`: otherwise the wait ends with a signal, or never. The
//! wait can also end too early, so look again.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode};

use super::{GETEVENTS, NOTHING, SQ_WAIT, SQ_WAKEUP, enter, polled_ring};

pub const ENTRY: Entry = Entry { shows: &["IORING_ENTER_SQ_WAIT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let Some(mut ring) = polled_ring(page, 1)? else { return Ok(()) };
    let fd = ring.as_raw_fd();
    for nth in 1..=3 {
        // SAFETY: a NOP points at no memory.
        unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
        let asked = format!("enter with SQ_WAKEUP and SQ_WAIT, after NOP {nth}");
        page.call(&asked, enter(fd, 0, 0, SQ_WAKEUP | SQ_WAIT, NOTHING))?;
        // Other work of this thread can end the wait early, as a signal can.
        while ring.submission().is_full() {
            enter(fd, 0, 0, SQ_WAKEUP | SQ_WAIT, NOTHING)?;
        }
        page.saw("the queue has room", !ring.submission().is_full())?;
    }
    page.call("enter with GETEVENTS: wait for 2", enter(fd, 0, 2, GETEVENTS, NOTHING))?;
    page.saw("NOPs have completed", ring.completion().count() >= 2)?;

    let mut plain = IoUring::new(1)?;
    // SAFETY: as above.
    unsafe { plain.submission().push(&opcode::Nop::new().build()) }?;
    let waited = enter(plain.as_raw_fd(), 0, 0, SQ_WAIT, NOTHING);
    page.call("enter with SQ_WAIT, without SQPOLL", waited)?;
    page.saw("it did not wait: the queue is still full", plain.submission().is_full())
}
// ANCHOR_END: show
