//! REGISTER_SEND_MSG_RING: post to a ring, without a ring of one's own.
//!
//! Since 6.13. Takes a MSG_RING entry, and needs no ring (the descriptor is -1); liburing:
//! `io_uring_register_sync_msg`; crate: none.
//! For a thread without a ring that must wake a thread with one: one call instead of an eventfd.
//! Data only: a file cannot be sent, since that comes out of the sender's slots.

use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::{ptr, thread};

use atlas::{Entry, Page, Result, raw};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use super::{call, without_a_ring};

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_SEND_MSG_RING"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let to = |ring: RawFd| -> squeue::Entry {
        opcode::MsgRingData::new(types::Fd(ring), 42, 0x1e77e2, None).build()
    };
    let message = to(ring.as_raw_fd());
    let sent = thread::scope(|scope| scope.spawn(|| send(-1, &message)).join());
    let sent = without_a_ring(sent.expect("the thread does not panic"));
    let name = "IORING_REGISTER_SEND_MSG_RING";
    if page.call_since(name, "42 to a ring, by a thread without one", sent)?.is_none() {
        return Ok(());
    }
    let answer =
        page.arrives("the ring has a completion that it did not ask for", &mut ring, 0x1e77e2);
    page.saw("its result is 42", answer.result == 42)?;

    let why = "it needs no ring, and takes none";
    let by_ring = send(ring.as_raw_fd(), &message);
    page.call_refused("the same, the descriptor not -1", by_ring, Errno::EINVAL, why)?;
    let nop = send(-1, &opcode::Nop::new().build());
    page.call_refused("a NOP", nop, Errno::EINVAL, "MSG_RING is all that it takes")?;
    let flagged = send(-1, &message.flags(squeue::Flags::ASYNC));
    page.call_refused(
        "with IOSQE_ASYNC",
        flagged,
        Errno::EINVAL,
        "no entry flag has a meaning here",
    )?;
    let (pipe, _other_end) = nix::unistd::pipe()?;
    let elsewhere = send(-1, &to(pipe.as_raw_fd()));
    page.call_refused("42 to a pipe", elsewhere, Errno::EBADFD, "the receiver must be a ring")
}
// ANCHOR_END: show

/// `io_uring_register_sync_msg`, which the crate does not have.
fn send(ring: RawFd, message: &squeue::Entry) -> io::Result<u32> {
    // SAFETY: the call reads the 64 bytes of an entry, and a message points at no memory.
    unsafe { raw::register(ring, call("REGISTER_SEND_MSG_RING"), ptr::from_ref(message), 1) }
}
