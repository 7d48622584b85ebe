//! DEFER_TASKRUN: do completion work only when the program waits for it.
//!
//! Since 6.1, with SINGLE_ISSUER. liburing: `io_uring_queue_init`; crate:
//! `Builder::setup_defer_taskrun`.
//! No interrupt, and all the work of a round in one go: the fastest way for a loop that submits and
//! waits in one call. Completions come in an enter with `IORING_ENTER_GETEVENTS` by the ring's own
//! thread, and at no other time: a program that only submits, or only looks, never sees them.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result, raw};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::flag;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_SETUP_DEFER_TASKRUN", "IORING_ENTER_GETEVENTS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_single_issuer().setup_defer_taskrun().build(4);
    let (name, asked) = ("IORING_SETUP_DEFER_TASKRUN", "SINGLE_ISSUER, DEFER_TASKRUN");
    let Some(mut ring): Option<IoUring> = page.call_since(name, asked, built)? else {
        return Ok(());
    };
    let (ours, mut theirs) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::POLLIN as u32).build();
    // SAFETY: a poll points at no memory.
    let poll = unsafe { page.start("POLL_ADD of a socket", &mut ring, poll) };
    page.call("a byte arrives: write(2)", theirs.write_all(b"!"))?;
    page.saw("no completion: to look is not enough", ring.completion().is_empty())?;
    page.call("an enter without GETEVENTS", ring.submit())?;
    page.saw("still none: to submit is not enough", ring.completion().is_empty())?;
    page.answer(&poll, &mut ring)?;
    page.note("the enter that waits", "has GETEVENTS, and brought it");

    let why = "it needs SINGLE_ISSUER: the one thread that submits does the work";
    let alone = raw::ring(4, flag("DEFER_TASKRUN"));
    page.call_refused("DEFER_TASKRUN alone", alone, Errno::EINVAL, why)?;
    let elsewhere = std::thread::scope(|scope| scope.spawn(|| ring.submit_and_wait(1)).join());
    let elsewhere = elsewhere.expect("the thread does not panic");
    let why = "another thread can neither submit nor wait";
    page.call_refused("a wait by another thread", elsewhere, Errno::EEXIST, why)
}
// ANCHOR_END: show
