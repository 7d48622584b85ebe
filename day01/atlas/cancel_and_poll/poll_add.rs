//! POLL_ADD: wait until a descriptor is ready, once or each time.
//!
//! Since 5.1; `MULTI` since 5.13. Stands for `poll(2)` and `epoll_ctl(2)`; liburing:
//! `io_uring_prep_poll_add`, `io_uring_prep_poll_multishot`; crate: `opcode::PollAdd`.
//! Takes a descriptor or a slot, and the events of `poll(2)`. Returns the events that are there:
//! not 0, and not only those that were asked for (`POLLHUP` and `POLLERR` come unasked).
//! With `MULTI` it completes at each change, and not again while data remains: read until EAGAIN.
//! `IORING_POLL_ADD_LEVEL` (6.0) was meant to change that. It stands in the header, and no released
//! kernel takes it: its support was withdrawn before 6.0. POLL_ADD without `MULTI`, once after each
//! read, reports as long as something is there.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result};
use common::catalog::POLL_FLAGS;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{POLLIN, poll_in};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_POLL_ADD",
        "IORING_POLL_ADD_MULTI",
        "IORING_POLL_ADD_LEVEL",
        "IORING_CQE_F_MORE",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (mut socket, mut peer) = UnixStream::pair()?;
    // SAFETY: here and below, a poll points at no memory.
    let once = unsafe { page.start("POLL_ADD for POLLIN", &mut ring, poll_in(&socket)) };
    page.waits(&once, &mut ring)?;
    peer.write_all(b"1")?;
    let events = page.answer(&once, &mut ring)?.result;
    page.saw("the result is POLLIN, once a byte had come", events == POLLIN as i32)?;
    // SAFETY: as above.
    unsafe { page.ask("POLL_ADD, the byte is still there", &mut ring, poll_in(&socket)) }?;
    socket.read_exact(&mut [0])?;

    each_time(page, &mut ring, &socket, &mut peer)?;
    mistakes(page, &mut ring, &socket)?;
    drop(peer);
    let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), 0).build();
    // SAFETY: as above.
    let events = unsafe { page.ask("POLL_ADD for no event, the peer is gone", &mut ring, entry) }?;
    page.saw("POLLHUP came unasked", events.result & i32::from(libc::POLLHUP) != 0)
}
// ANCHOR_END: show

/// `IORING_POLL_ADD_MULTI`.
fn each_time(
    page: &mut Page,
    ring: &mut IoUring,
    socket: &UnixStream,
    peer: &mut UnixStream,
) -> Result<()> {
    let entry = opcode::PollAdd::new(Fd(socket.as_raw_fd()), POLLIN).multi(true).build();
    // SAFETY: as above.
    let multi = unsafe { page.start("POLL_ADD with MULTI", ring, entry) };
    if page.has_completed(&multi, ring) {
        page.ended(&multi, ring, Errno::EINVAL, "this kernel does not know MULTI")?;
        return page.lacks("IORING_POLL_ADD_MULTI");
    }
    for byte in [b"2", b"3"] {
        peer.write_all(byte)?;
        let more = page.answer(&multi, ring)?.more();
        page.saw("it reported the byte, and goes on", more)?;
        // The byte was not read, and yet there is no second report.
        page.waits(&multi, ring)?;
    }
    let cancel = opcode::AsyncCancel::new(multi.user_data()).build();
    // SAFETY: the entry points at nothing.
    unsafe { page.ask("ASYNC_CANCEL of it", ring, cancel) }?;
    let last = page.ended(&multi, ring, Errno::ECANCELED, "it was cancelled")?;
    page.saw("the last completion has no MORE", !last.more())
}

fn mistakes(page: &mut Page, ring: &mut IoUring, socket: &UnixStream) -> Result<()> {
    let level = poll_in(socket).len(POLL_FLAGS.code("ADD_LEVEL"));
    let silent = poll_in(socket).len(POLL_FLAGS.code("ADD_MULTI")).flags(Flags::SKIP_SUCCESS);
    let update = poll_in(socket).len(POLL_FLAGS.code("UPDATE_EVENTS"));
    for (asked, entry, errno, why) in [
        ("POLL_ADD with LEVEL", level, Errno::EINVAL, "no released kernel takes this flag"),
        (
            "POLL_ADD with MULTI and CQE_SKIP_SUCCESS",
            silent,
            Errno::EINVAL,
            "it would report nothing at all",
        ),
        ("POLL_ADD with UPDATE_EVENTS", update, Errno::EINVAL, "that is for POLL_REMOVE"),
        (
            "POLL_ADD of descriptor -1",
            opcode::PollAdd::new(Fd(-1), POLLIN).build(),
            Errno::EBADF,
            "nothing is open there",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    let file = page.scratch()?.file("empty")?;
    // SAFETY: as above.
    let events = unsafe { page.ask("POLL_ADD of an empty file", ring, poll_in(&file)) }?;
    page.saw("a file counts as ready always", events.result & POLLIN as i32 != 0)
}
