//! SHUTDOWN: end one direction of a connection, or both.
//!
//! Since 5.11. Stands for shutdown(2); liburing: `io_uring_prep_shutdown`; crate:
//! `opcode::Shutdown`.
//! Takes a socket or a slot, and `SHUT_RD`, `SHUT_WR` or `SHUT_RDWR`. Returns 0. Always runs in a
//! worker. It ends a receive that waits, which close(2) and CLOSE do not: the kernel keeps the
//! socket for as long as an entry uses it.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::tcp_socket;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_SHUTDOWN"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    let fd = Fd(ours.as_raw_fd());
    let shutdown = |how| opcode::Shutdown::new(fd, how).build();
    // SAFETY: here and below, the entry points at no memory.
    unsafe { page.ask("SHUTDOWN of our sending side", &mut ring, shutdown(libc::SHUT_WR)) }?;
    page.saw("the peer reads the end", peer.read(&mut [0; 8])? == 0)?;
    peer.write_all(b"late")?;
    // SAFETY: the memory is never freed.
    let answer = unsafe { page.ask("RECV", &mut ring, receive(fd)) }?;
    page.saw("what the peer sends still arrives", answer.result == 4)?;

    // SAFETY: as above.
    let waiting = unsafe { page.start("RECV, and nothing comes", &mut ring, receive(fd)) };
    // SAFETY: as above.
    unsafe { page.ask("SHUTDOWN of both sides", &mut ring, shutdown(libc::SHUT_RDWR)) }?;
    let answer = page.answer(&waiting, &mut ring)?;
    page.saw("the receive that waited has ended with 0", answer.result == 0)?;

    let (other, mut peer) = UnixStream::pair()?;
    let entry = receive(Fd(other.as_raw_fd()));
    // SAFETY: as above.
    let waiting = unsafe { page.start("RECV on another socket", &mut ring, entry) };
    page.call("close its descriptor", nix::unistd::close(other))?;
    peer.write_all(b"who is there?")?;
    let answer = page.answer(&waiting, &mut ring)?;
    page.saw("the closed socket has received what came", answer.result == 8)?;

    let unconnected = tcp_socket()?;
    let unconnected = opcode::Shutdown::new(Fd(unconnected.as_raw_fd()), libc::SHUT_WR).build();
    let send = opcode::Send::new(fd, b"x".as_ptr(), 1).build();
    for (asked, entry, errno, why) in [
        ("SHUTDOWN of side 3", shutdown(3), Errno::EINVAL, "there are 0, 1 and 2 (both)"),
        ("SHUTDOWN before CONNECT", unconnected, Errno::ENOTCONN, "it has no connection"),
        ("SEND after it", send, Errno::EPIPE, "the sending side is closed; no SIGPIPE comes"),
    ] {
        // SAFETY: the byte to send is a constant.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

/// A receive of up to eight bytes, into memory that is never freed.
fn receive(fd: Fd) -> squeue::Entry {
    let buffer = forever([0_u8; 8]);
    opcode::Recv::new(fd, buffer.as_mut_ptr(), 8).build()
}
