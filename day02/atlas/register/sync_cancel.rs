//! REGISTER_SYNC_CANCEL: cancel, and wait until it is done.
//!
//! Since 6.0. Takes what ASYNC_CANCEL takes, and how long to wait; liburing:
//! `io_uring_register_sync_cancel`; crate: `Submitter::register_sync_cancel`.
//! When it returns, no matching operation is under way any more, and their completions are posted:
//! the buffers are the program's again. For the drop of a future or of a connection, where there is
//! no loop that could wait for the answer of an ASYNC_CANCEL.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, is_older_than};
use common::memory::forever;
use io_uring::types::{CancelBuilder, Fd};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_SYNC_CANCEL"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let cancel = |ring: &IoUring, what| ring.submitter().register_sync_cancel(None, what);
    let (name, asked) = ("IORING_REGISTER_SYNC_CANCEL", "register_sync_cancel, nothing under way");
    if is_older_than("6.0") {
        return page.lacks(name);
    }
    let nothing = cancel(&ring, CancelBuilder::user_data(77));
    page.call_refused(asked, nothing, Errno::ENOENT, "nothing matches")?;
    let (pipe, _other_end) = nix::unistd::pipe()?;
    let byte = forever([0]);
    let pipe = Fd(pipe.as_raw_fd());
    let read = opcode::Read::new(pipe, byte.as_mut_ptr(), 1).build();
    // SAFETY: `byte` is never freed.
    let read = unsafe { page.start("READ of an empty pipe", &mut ring, read) };
    let cancelled = cancel(&ring, CancelBuilder::user_data(read.user_data()));
    page.call("register_sync_cancel by its user_data", cancelled)?;
    page.saw("its completion is posted already", !ring.completion().is_empty())?;
    page.ended(&read, &mut ring, Errno::ECANCELED, "it was cancelled")?;

    let polls = [(); 2].map(|()| {
        let poll = opcode::PollAdd::new(pipe, libc::POLLIN as u32).build();
        // SAFETY: a poll points at no memory.
        unsafe { page.start("POLL_ADD of the pipe", &mut ring, poll) }
    });
    page.call("by descriptor, all of them", cancel(&ring, CancelBuilder::fd(pipe).all()))?;
    for poll in polls {
        page.ended(&poll, &mut ring, Errno::ECANCELED, "it was cancelled")?;
    }
    // SAFETY: a poll points at no memory.
    let unsubmitted = opcode::PollAdd::new(pipe, libc::POLLIN as u32).build().user_data(77);
    // SAFETY: as above.
    unsafe { ring.submission().push(&unsubmitted) }?;
    let nothing = cancel(&ring, CancelBuilder::user_data(77));
    let why = "an entry in the queue is not under way: the kernel has not seen it";
    page.call_refused("of an entry that was pushed only", nothing, Errno::ENOENT, why)
}
// ANCHOR_END: show
