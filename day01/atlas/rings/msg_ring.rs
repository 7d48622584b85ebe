//! MSG_RING: post a completion, or a slot's file, to another ring.
//!
//! Since 5.18; files since 6.0; `FLAGS_PASS` since 6.3. Stands for a write to an eventfd, or for
//! `SCM_RIGHTS`; liburing: `io_uring_prep_msg_ring`, `io_uring_prep_msg_ring_fd`; crate:
//! `opcode::MsgRingData`, `opcode::MsgRingSendFd`.
//! Takes the descriptor of the other ring, a result and a `user_data` for the completion there; or
//! a slot here and a slot there. The other ring may belong to another thread or process: this is
//! how a thread that waits for completions is woken. Returns 0, or for a file sent to any free
//! slot, the number of that slot. A full queue there is not an error: the message waits as an
//! overflow does.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::thread;

use atlas::{Entry, Page, Result};
use common::catalog::MSG_RING_FLAGS;
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_MSG_RING",
        "IORING_MSG_DATA",
        "IORING_MSG_SEND_FD",
        "IORING_MSG_RING_FLAGS_PASS",
        "IORING_MSG_RING_CQE_SKIP",
    ],
    show,
};

/// The `user_data` of messages.
const MESSAGE: u64 = 0x4d53_4721;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut other = IoUring::new(4)?;
    let to = Fd(other.as_raw_fd());

    let waiter = thread::spawn(move || {
        while other.completion().is_empty() {
            // A signal may end the wait.
            let _ = other.submit_and_wait(1);
        }
        let message = other.completion().next().map(|it| (it.user_data(), it.result()));
        (message, other)
    });
    let entry = opcode::MsgRingData::new(to, 42, MESSAGE, None).build();
    // SAFETY: here and below, the entry points at no memory.
    unsafe { page.ask("MSG_RING with 42, to a thread that waits", &mut ring, entry) }?;
    let (message, mut other) = waiter.join().expect("it does not panic");
    page.saw("it woke the thread, and has 42 as its result", message == Some((MESSAGE, 42)))?;

    let name = "IORING_MSG_RING_FLAGS_PASS";
    let entry = opcode::MsgRingData::new(to, 42, MESSAGE, Some(0x700_0000)).build();
    let asked = "MSG_RING with flags for the completion";
    // SAFETY: as above.
    if unsafe { page.ask_since(name, asked, &mut ring, entry) }?.is_some() {
        let message = page.arrives("the message", &mut other, MESSAGE);
        page.saw("it has the flags", message.flags == 0x700_0000)?;
    }
    send_file(page, &mut ring, &mut other)?;
    mistakes(page, &mut ring, to)
}
// ANCHOR_END: show

/// The file of a slot here becomes one of a slot there.
fn send_file(page: &mut Page, ring: &mut IoUring, other: &mut IoUring) -> Result<()> {
    let to = Fd(other.as_raw_fd());
    let (socket, mut peer) = UnixStream::pair()?;
    ring.submitter().register_files(&[socket.as_raw_fd()])?;
    other.submitter().register_files(&[-1, -1])?;
    drop(socket);
    let there = DestinationSlot::try_from_slot_target(1).expect("a small number");
    let send = |slot, there| opcode::MsgRingSendFd::new(to, Fixed(slot), there, MESSAGE);
    let asked = "MSG_RING with the file of slot 0, for slot 1";
    // SAFETY: as above.
    let sent =
        unsafe { page.ask_since("IORING_MSG_SEND_FD", asked, ring, send(0, there).build()) }?;
    if sent.is_none() {
        return page.lacks("IORING_MSG_RING_CQE_SKIP");
    }
    page.arrives("the message", other, MESSAGE);
    peer.write_all(b"over there")?;
    let mut buffer = [0; 16];
    let recv = opcode::Recv::new(Fixed(1), buffer.as_mut_ptr(), 16).build();
    // SAFETY: the call waits until the RECV is done with the buffer.
    unsafe { page.ask("RECV by slot 1 of the other ring", other, recv) }?;
    page.saw("what the peer sent arrived there", buffer.starts_with(b"over there"))?;

    let flags = MSG_RING_FLAGS.code("CQE_SKIP");
    let silent = send(0, DestinationSlot::auto_target()).opcode_flags(flags).build();
    // SAFETY: as above.
    unsafe {
        page.ask("MSG_RING with it for any slot, CQE_SKIP", ring, silent)?;
        let why = "no slot is free there";
        let again = send(0, DestinationSlot::auto_target()).build();
        page.refused("MSG_RING with it for one more slot", ring, again, Errno::ENFILE, why)?;
        let why = "slot 5 is empty here";
        page.refused("MSG_RING with slot 5", ring, send(5, there).build(), Errno::EBADF, why)?;
        let asked = "MSG_RING with it, to the same ring";
        let here = Fd(ring.as_raw_fd());
        let entry = opcode::MsgRingSendFd::new(here, Fixed(0), there, MESSAGE).build();
        page.refused(asked, ring, entry, Errno::EINVAL, "the other ring is this one")
    }
}

fn mistakes(page: &mut Page, ring: &mut IoUring, to: Fd) -> Result<()> {
    let data = |to| opcode::MsgRingData::new(to, 42, MESSAGE, None);
    let silent = data(to).opcode_flags(MSG_RING_FLAGS.code("CQE_SKIP")).build();
    let asleep: IoUring = IoUring::builder().setup_r_disabled().build(4)?;
    let file = page.scratch()?.file("no_ring")?;
    for (asked, entry, errno, why) in [
        (
            "MSG_RING with 42, CQE_SKIP",
            silent,
            Errno::EINVAL,
            "the completion is all that it would send",
        ),
        (
            "MSG_RING to a file",
            data(Fd(file.as_raw_fd())).build(),
            Errno::EBADFD,
            "that is no ring",
        ),
        (
            "MSG_RING to a disabled ring",
            data(Fd(asleep.as_raw_fd())).build(),
            Errno::EBADFD,
            "it takes nothing until IORING_REGISTER_ENABLE_RINGS",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
