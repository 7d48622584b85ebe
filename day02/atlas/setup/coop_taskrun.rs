//! COOP_TASKRUN: complete at the next call, without an interrupt.
//!
//! Since 5.19. liburing: `io_uring_queue_init`; crate: `Builder::setup_coop_taskrun`.
//! An operation that had to wait is finished by the program's own thread. Without the flag the
//! kernel interrupts that thread at once, also on another CPU; with it, it waits until the thread
//! enters the kernel anyway: any system call will do, or the clock's interrupt.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result, raw};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::flag;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_COOP_TASKRUN"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_coop_taskrun().build(4);
    let Some(mut ring): Option<IoUring> =
        page.call_since("IORING_SETUP_COOP_TASKRUN", "COOP_TASKRUN", built)?
    else {
        return Ok(());
    };
    let (ours, mut theirs) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::POLLIN as u32).build();
    // SAFETY: a poll points at no memory.
    let poll = unsafe { page.start("POLL_ADD of a socket", &mut ring, poll) };
    page.saw("nothing to read, no completion", ring.completion().is_empty())?;
    page.call("a byte arrives: write(2) by this thread", theirs.write_all(b"!"))?;
    page.saw("the completion is there, without an enter", !ring.completion().is_empty())?;
    page.answer(&poll, &mut ring)?;

    let why = "a ring with a poller runs its completions on the poller";
    let flags = flag("SQPOLL") | flag("COOP_TASKRUN");
    page.call_refused("COOP_TASKRUN, SQPOLL", raw::ring(4, flags), Errno::EINVAL, why)
}
// ANCHOR_END: show
