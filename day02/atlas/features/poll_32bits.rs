//! FEAT_POLL_32BITS: polls take 32 bits of events, as epoll does.
//!
//! Since 5.9. Before, the 16 bits of poll(2). The bit that matters is `EPOLLEXCLUSIVE`: of several
//! that poll the same file exclusively, one is woken, not all.

use std::io::Write;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use super::{ring_with, sockets};

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_POLL_32BITS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_POLL_32BITS";
    let has = |params: &io_uring::Parameters| params.is_feature_poll_32bits();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let plain = woken(libc::EPOLLIN as u32)?;
    page.note("of 3 polls of one socket, a byte wakes", plain);
    page.saw("all of them", plain == 3)?;
    let exclusive = woken((libc::EPOLLIN | libc::EPOLLEXCLUSIVE) as u32)?;
    page.note("of 3 with EPOLLEXCLUSIVE, a byte wakes", exclusive);
    page.saw("fewer: not each is woken", exclusive < 3)?;

    let (ours, _theirs) = sockets()?;
    let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), libc::EPOLLIN as u32);
    let silent = poll.multi(true).build().flags(squeue::Flags::SKIP_SUCCESS);
    let why = "a multishot poll completes again and again by succeeding: nothing would be seen";
    // SAFETY: a poll points at no memory.
    unsafe { page.refused("a multishot, CQE_SKIP_SUCCESS", &mut ring, silent, Errno::EINVAL, why) }
}
// ANCHOR_END: show

/// Polls a socket three times for these events, and says how many complete by one byte.
fn woken(events: u32) -> Result<usize> {
    let (mut ring, (ours, mut theirs)) = (IoUring::new(4)?, sockets()?);
    for _ in 0..3 {
        let poll = opcode::PollAdd::new(types::Fd(ours.as_raw_fd()), events).build().user_data(1);
        // SAFETY: a poll points at no memory.
        unsafe { ring.submission().push(&poll) }?;
    }
    ring.submit()?;
    theirs.write_all(b"!")?;
    ring.submit_and_wait(1)?;
    // Polls that were not woken end with their ring.
    Ok(ring.completion().count())
}
