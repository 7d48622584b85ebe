//! IOPOLL: poll the device for completions, without interrupts.
//!
//! Since 5.1. liburing: `io_uring_queue_init`; crate: `Builder::setup_iopoll`.
//! For reads and writes with O_DIRECT of a fast disk that has poll queues (`nvme.poll_queues=2`),
//! and for commands to it. The program that waits looks at the device itself: the shortest delay,
//! at the cost of a CPU. Operations that complete by interrupt cannot use such a ring: neither
//! sockets, nor the OPENAT of the file to read.

use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Ask, Entry, Page, Result};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::polled_disk;

pub const ENTRY: Entry = Entry { shows: &["IORING_SETUP_IOPOLL"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let built = IoUring::builder().setup_iopoll().build(4);
    let mut ring: IoUring = page.call("a ring with IOPOLL", built)?;
    polled_disk::read(page, &mut ring)?;

    polled_disk::refuse_buffered(page, &mut ring)?;
    let (socket, _peer) = UnixStream::pair()?;
    let mut bytes = [0; 16];
    let socket = types::Fd(socket.as_raw_fd());
    let receive = opcode::Recv::new(socket, bytes.as_mut_ptr(), 16).build();
    let why = "a socket cannot be polled like a disk: it needs a ring of its own";
    // SAFETY: the memory lives, and is not used elsewhere, until `refused` has the completion.
    unsafe { page.refused("RECV", &mut ring, receive, Errno::EINVAL, why) }?;
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"".as_ptr()).build();
    let open = Ask::new("OPENAT", open)
        .refused(Errno::EINVAL, "an open cannot be polled for: open it by another ring, or open(2)")
        .refused(Errno::ENOENT, "this kernel lets it through, and nothing has an empty name");
    // SAFETY: the path is a constant.
    unsafe { page.ask_all(&mut ring, [open]) }.map(drop)
}
// ANCHOR_END: show
