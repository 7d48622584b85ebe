//! LINK_TIMEOUT: limit how long the entry linked before it may take.
//!
//! Since 5.5. Stands for a receive timeout (`SO_RCVTIMEO`), but of one call; liburing:
//! `io_uring_prep_link_timeout`; crate: `opcode::LinkTimeout`.
//! Comes directly behind an entry with `IOSQE_IO_LINK` or `IOSQE_IO_HARDLINK`, in the same submit.
//! Takes a time as TIMEOUT does. There are two completions:
//!
//! ```text
//! the entry before it       LINK_TIMEOUT
//! its result                ECANCELED      it was in time
//! ECANCELED                 ETIME          its time was over
//! ECANCELED                 ECANCELED      something else cancelled it
//! its result, or an error   EALREADY       a worker was in the middle of it
//! its result                ENOENT         it ended at the very moment
//! ```
//!
//! An entry that was cancelled for its time has taken no bytes. The limit is for the one entry, not
//! for the chain. An operation that goes straight to a worker, such as SPLICE, is not limited: on
//! Linux 6.18 the time begins when the worker is done.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Ask, Entry, Page, Result};
use io_uring::squeue::{self, Flags};
use io_uring::types::{Fd, Timespec};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd::{pipe, write};

use super::{LATER, SOON};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_LINK_TIMEOUT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(8)?;
    let (socket, mut peer) = UnixStream::pair()?;
    let mut buffer = [0; 16];
    let mut recv = || opcode::Recv::new(Fd(socket.as_raw_fd()), buffer.as_mut_ptr(), 16).build();
    let limit = |time| opcode::LinkTimeout::new(time).build();

    peer.write_all(b"in time")?;
    let first = Ask::new("RECV, data is there", recv().flags(Flags::IO_LINK));
    let second = Ask::new("LINK_TIMEOUT of an hour", limit(&LATER));
    let second = second.refused(Errno::ECANCELED, "the RECV was in time");
    // SAFETY: here and below, the call waits for both, and uses the buffer for nothing else.
    let answers = unsafe { page.ask_all(&mut ring, [first, second]) }?;
    page.saw("the RECV came first, with 7 bytes", answers[0].result == 7)?;

    let first = Ask::new("RECV, no data comes", recv().flags(Flags::IO_LINK));
    let first = first.refused(Errno::ECANCELED, "its time was over");
    let second = Ask::new("LINK_TIMEOUT of 1 ms", limit(&SOON));
    let second = second.refused(Errno::ETIME, "the RECV was not in time");
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, [first, second]) }?;
    peer.write_all(b"late")?;
    // SAFETY: as above.
    let late = unsafe { page.ask("RECV once more", &mut ring, recv()) }?;
    page.saw("no byte was lost", buffer.starts_with(b"late") && late.result == 4)?;

    then_what(page, &mut ring, &socket)?;
    by_somebody_else(page, &mut ring, &socket)?;
    in_a_worker(page, &mut ring)?;
    mistakes(page, &mut ring, &socket)
}
// ANCHOR_END: show

/// POLL_ADD of a quiet socket, linked: it waits, and points at no memory.
fn poll(socket: &UnixStream, link: Flags) -> squeue::Entry {
    opcode::PollAdd::new(Fd(socket.as_raw_fd()), libc::POLLIN as u32).build().flags(link)
}

/// What stands behind LINK_TIMEOUT depends on how the entry before that ended.
fn then_what(page: &mut Page, ring: &mut IoUring, socket: &UnixStream) -> Result<()> {
    for (link, with) in [(Flags::IO_LINK, "IO_LINK"), (Flags::IO_HARDLINK, "IO_HARDLINK")] {
        let limited = Ask::new(&format!("POLL_ADD with {with}"), poll(socket, link));
        let limit = opcode::LinkTimeout::new(&SOON).build().flags(link);
        let limit = Ask::new("LINK_TIMEOUT of 1 ms, linked too", limit);
        let nop = Ask::new("NOP behind it", opcode::Nop::new().build());
        let nop = match link {
            Flags::IO_LINK => nop.refused(Errno::ECANCELED, "the chain broke with the POLL_ADD"),
            _ => nop,
        };
        let chain = [
            limited.refused(Errno::ECANCELED, "its time was over"),
            limit.refused(Errno::ETIME, "the POLL_ADD was not in time"),
            nop,
        ];
        // SAFETY: the kernel reads the time at the submit, which is in the call.
        unsafe { page.ask_all(ring, chain) }?;
    }
    Ok(())
}

/// ASYNC_CANCEL of the entry ends both; of the LINK_TIMEOUT alone it finds nothing.
fn by_somebody_else(page: &mut Page, ring: &mut IoUring, socket: &UnixStream) -> Result<()> {
    let limit = opcode::LinkTimeout::new(&LATER).build();
    let chain = [("POLL_ADD", poll(socket, Flags::IO_LINK)), ("LINK_TIMEOUT of an hour", limit)];
    // SAFETY: as above.
    let started = unsafe { page.start_all(ring, chain) };
    let cancel = |user_data| opcode::AsyncCancel::new(user_data).build();
    let why = "cancel the entry before it instead";
    // SAFETY: an ASYNC_CANCEL points at nothing.
    unsafe {
        let limit = cancel(started[1].user_data());
        page.refused("ASYNC_CANCEL of the LINK_TIMEOUT", ring, limit, Errno::ENOENT, why)?;
        page.ask("ASYNC_CANCEL of the POLL_ADD", ring, cancel(started[0].user_data()))?;
    }
    page.ended(&started[0], ring, Errno::ECANCELED, "it was cancelled")?;
    page.ended(&started[1], ring, Errno::ECANCELED, "there is nothing left to limit").map(drop)
}

/// SPLICE from an empty pipe blocks a worker. Older kernels try to interrupt it.
fn in_a_worker(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    static A_WHILE: Timespec = Timespec::new().nsec(20_000_000);
    let ((empty, feed), (_drain, other)) = (pipe()?, pipe()?);
    let (from, to) = (Fd(empty.as_raw_fd()), Fd(other.as_raw_fd()));
    let splice = opcode::Splice::new(from, -1, to, -1, 1).build().flags(Flags::IO_LINK);
    let limit = opcode::LinkTimeout::new(&SOON).build();
    let chain = [("SPLICE from an empty pipe", splice), ("LINK_TIMEOUT of 1 ms", limit)];
    // SAFETY: pipes have their own memory, and the kernel reads times at the submit.
    let started = unsafe { page.start_all(ring, chain) };
    let [splice, limit] = &started[..] else { unreachable!("two were started") };
    let later = opcode::Timeout::new(&A_WHILE).build();
    // SAFETY: as above.
    unsafe { page.refused("TIMEOUT of 20 ms", ring, later, Errno::ETIME, "the time is over") }?;
    if page.has_completed(limit, ring) {
        // An older kernel. How the SPLICE ends there, and whether, depends on the moment.
        let errnos = [Errno::EALREADY, Errno::ETIME, Errno::ENOENT];
        let why = "the SPLICE was not in time";
        return page.ended_by_one_of(limit, ring, &errnos, why).map(drop);
    }
    page.waits(limit, ring)?;
    write(feed, b"1")?;
    page.answer(splice, ring)?;
    // ENOENT if that millisecond was over before the kernel took the timer back.
    let errnos = [Errno::ECANCELED, Errno::ENOENT];
    page.ended_by_one_of(limit, ring, &errnos, "its time began when the SPLICE was done").map(drop)
}

fn mistakes(page: &mut Page, ring: &mut IoUring, socket: &UnixStream) -> Result<()> {
    let linked = || poll(socket, Flags::IO_LINK);
    let limit = || opcode::LinkTimeout::new(&SOON).build();
    let why = "nothing is linked to it: the entry before it needs IO_LINK, in the same submit";
    let never = "the chain has an entry that the kernel refused, so it never began";
    // SAFETY: as above.
    unsafe {
        page.refused("LINK_TIMEOUT alone", ring, limit(), Errno::EINVAL, why)?;
        let twice = [
            Ask::new("POLL_ADD", linked()).refused(Errno::ECANCELED, never),
            Ask::new("LINK_TIMEOUT", limit().flags(Flags::IO_LINK))
                .refused(Errno::ECANCELED, never),
            Ask::new("LINK_TIMEOUT of that", limit())
                .refused(Errno::EINVAL, "a LINK_TIMEOUT cannot be limited"),
        ];
        page.ask_all(ring, twice)?;
        // TIMEOUT begins when the entry linked before it has ended.
        let timeout = opcode::Timeout::new(&SOON).build();
        let chain = [("POLL_ADD", linked()), ("TIMEOUT of 1 ms in its place", timeout)];
        let started = page.start_all(ring, chain);
        let timeout = opcode::Timeout::new(&SOON).build();
        page.refused("TIMEOUT of 1 ms, unlinked", ring, timeout, Errno::ETIME, "the time is over")?;
        page.waits(&started[1], ring)?;
        let cancel = opcode::AsyncCancel::new(started[0].user_data()).build();
        page.ask("ASYNC_CANCEL of the POLL_ADD", ring, cancel)?;
        page.ended(&started[0], ring, Errno::ECANCELED, "it was cancelled")?;
        let why = "it would have begun after the POLL_ADD: write LINK_TIMEOUT";
        page.ended(&started[1], ring, Errno::ECANCELED, why).map(drop)
    }
}
