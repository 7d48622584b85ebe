//! POLL_REMOVE: end a poll, or change it.
//!
//! Since 5.1; the change since 5.13. Stands for `epoll_ctl(2)`; liburing:
//! `io_uring_prep_poll_remove`, `io_uring_prep_poll_update`; crate: `opcode::PollRemove`, without
//! the change (`atlas::raw` writes it: the new `user_data` into `off`, the new events into
//! `poll32_events`, the flags into `len`).
//! Takes the poll's `user_data`. Returns 0; the poll completes with ECANCELED, or as changed. Only
//! the lower 16 bits of the events change. liburing's man page says that `MULTI` makes a poll
//! report again and again from then on. Linux 6.18 returns 0, and it still reports only once.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result};
use common::catalog::POLL_FLAGS;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::{HOUR, POLLIN, poll_in};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_POLL_REMOVE",
        "IORING_POLL_UPDATE_EVENTS",
        "IORING_POLL_UPDATE_USER_DATA",
        "IORING_POLL_ADD_MULTI",
    ],
    show,
};

const EVENTS: u32 = POLL_FLAGS.code("UPDATE_EVENTS");
const USER_DATA: u32 = POLL_FLAGS.code("UPDATE_USER_DATA");
const MULTI: u32 = POLL_FLAGS.code("ADD_MULTI");

/// The peer will send no more.
const POLLRDHUP: u32 = libc::POLLRDHUP as u32;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (socket, mut peer) = UnixStream::pair()?;
    // SAFETY: here and below, neither a poll nor its change points at memory.
    unsafe {
        let poll = page.start("POLL_ADD for POLLIN", &mut ring, poll_in(&socket));
        let remove = opcode::PollRemove::new(poll.user_data()).build();
        page.ask("POLL_REMOVE", &mut ring, remove)?;
        page.ended(&poll, &mut ring, Errno::ECANCELED, "it was removed")?;

        let poll = page.start("POLL_ADD for POLLIN", &mut ring, poll_in(&socket));
        let for_the_end = change(poll.user_data(), EVENTS).op_flags(poll32(POLLRDHUP));
        let name = "IORING_POLL_UPDATE_EVENTS";
        if page.ask_since(name, "change it to POLLRDHUP", &mut ring, for_the_end)?.is_none() {
            return page.lacks("IORING_POLL_UPDATE_USER_DATA");
        }
        peer.write_all(b"1")?;
        page.waits(&poll, &mut ring)?;
        peer.shutdown(Shutdown::Write)?;
        let events = page.answer(&poll, &mut ring)?.result;
        page.saw("it reports the end, not the byte", events == POLLRDHUP as i32)?;

        let (socket, mut peer) = UnixStream::pair()?;
        let poll = page.start("POLL_ADD for POLLIN", &mut ring, poll_in(&socket));
        let renamed = change(poll.user_data(), USER_DATA).off(NEW);
        page.ask("change its user_data to 77", &mut ring, renamed)?;
        let multi = change(NEW, EVENTS | MULTI).op_flags(poll32(POLLIN));
        page.ask("change it to MULTI", &mut ring, multi)?;
        peer.write_all(b"1")?;
        let answer = page.arrives("the poll, with user_data 77", &mut ring, NEW);
        page.saw("it reports POLLIN", answer.result == POLLIN as i32)?;
        page.note("and goes on, now that it is MULTI", answer.more());
    }
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

/// The `user_data` that a poll gets later.
const NEW: u64 = 77;

/// Changes a poll. The builder is that of the removal: a removal is an update without flags.
fn change(user_data: u64, flags: u32) -> squeue::Entry {
    opcode::PollRemove::new(user_data).build().len(flags)
}

/// The events as the field holds them: the halves are swapped on a big-endian machine.
fn poll32(events: u32) -> u32 {
    if cfg!(target_endian = "big") { events.rotate_left(16) } else { events }
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let timer = opcode::Timeout::new(&HOUR).build();
    // SAFETY: the time is a static.
    let timer = unsafe { page.start("TIMEOUT of an hour", ring, timer) };
    let gone = 404;
    for (asked, entry, errno, why) in [
        (
            "POLL_REMOVE of user_data 404",
            change(gone, 0),
            Errno::ENOENT,
            "no such poll, or it has completed",
        ),
        (
            "POLL_REMOVE of a TIMEOUT",
            change(timer.user_data(), 0),
            Errno::ENOENT,
            "it is no poll: TIMEOUT_REMOVE and ASYNC_CANCEL find it",
        ),
        (
            "change to MULTI alone",
            change(gone, MULTI),
            Errno::EINVAL,
            "say UPDATE_EVENTS too: they go together",
        ),
        (
            "change with a new user_data, not announced",
            change(gone, EVENTS).off(NEW),
            Errno::EINVAL,
            "say UPDATE_USER_DATA too",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
