//! TASKRUN_FLAG: a flag in the ring says that completion work is waiting.
//!
//! Since 5.19, with COOP_TASKRUN or DEFER_TASKRUN. The flag is `IORING_SQ_TASKRUN` in the
//! submission queue's flags. liburing: `io_uring_queue_init`; crate: `Builder::setup_taskrun_flag`,
//! `SubmissionQueue::taskrun`.
//! A program that only looks at its completion queue learns by it that an enter would bring more.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result, raw};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::flag;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_TASKRUN_FLAG", "IORING_SQ_TASKRUN"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let why = "without COOP_TASKRUN or DEFER_TASKRUN no work ever waits";
    let alone = raw::ring(4, flag("TASKRUN_FLAG"));
    page.call_refused("TASKRUN_FLAG alone", alone, Errno::EINVAL, why)?;

    let mut builder = IoUring::builder();
    let built = builder.setup_single_issuer().setup_defer_taskrun().setup_taskrun_flag().build(4);
    let asked = "SINGLE_ISSUER, DEFER_TASKRUN, TASKRUN_FLAG";
    let Some(mut ring): Option<IoUring> =
        page.call_since("IORING_SETUP_DEFER_TASKRUN", asked, built)?
    else {
        return Ok(());
    };
    let (ours, mut theirs) = UnixStream::pair()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::POLLIN as u32).build();
    // SAFETY: a poll points at no memory.
    let poll = unsafe { page.start("POLL_ADD of a socket", &mut ring, poll) };
    page.saw("IORING_SQ_TASKRUN is clear", !ring.submission().taskrun())?;
    page.call("a byte arrives: write(2)", theirs.write_all(b"!"))?;
    page.saw("no completion yet", ring.completion().is_empty())?;
    page.saw("but IORING_SQ_TASKRUN is set", ring.submission().taskrun())?;
    page.answer(&poll, &mut ring)?;
    page.saw("after the enter it is clear again", !ring.submission().taskrun())
}
// ANCHOR_END: show
