//! SEND: send bytes on a socket.
//!
//! Since 5.6. Stands for send(2); liburing: `io_uring_prep_send`; crate: `opcode::Send`.
//! Takes a socket or a slot, the bytes, and the `MSG_*` flags; in `ioprio`, flags of its own. The
//! kernel adds `MSG_NOSIGNAL`, so that no SIGPIPE comes. Returns how many bytes it took. Where
//! there is no room for all, that is fewer, unless `MSG_WAITALL` is set; where there is no room at
//! all, it waits. Two sends under way on one socket can run in either order.

use std::io::{IoSlice, Read};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use common::catalog::SEND_RECV_FLAGS;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::socket::{setsockopt, sockopt};

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_SEND", "IORING_RECVSEND_POLL_FIRST", "IORING_SEND_VECTORIZED"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    // SAFETY: here and below, what the entry points at is constant.
    unsafe { page.ask("SEND of 5 bytes", &mut ring, send(&ours, b"hello").build()) }?;
    page.saw("the peer has them", read(&mut peer, 5)? == b"hello")?;

    let entry = send(&ours, b"hello").ioprio(POLL_FIRST).build();
    let asked = "SEND, POLL_FIRST: once there is room";
    // SAFETY: as above.
    if unsafe { page.ask_since("IORING_RECVSEND_POLL_FIRST", asked, &mut ring, entry) }?.is_some() {
        page.saw("the peer has them", read(&mut peer, 5)? == b"hello")?;
        let entry = send(&ours, b"x").ioprio(POLL_FIRST).flags(libc::MSG_DONTWAIT).build();
        let why = "DONTWAIT forbids the wait that POLL_FIRST begins with";
        // SAFETY: as above.
        unsafe {
            page.refused("SEND, POLL_FIRST and DONTWAIT", &mut ring, entry, Errno::EAGAIN, why)
        }?;
    }
    let pieces = [IoSlice::new(b"in "), IoSlice::new(b"pieces")];
    let entry = opcode::Send::new(Fd(ours.as_raw_fd()), pieces.as_ptr().cast(), 2);
    let entry = entry.ioprio(VECTORIZED).build();
    // SAFETY: the list lives until the completion. An `IoSlice` is an `iovec`.
    let answer =
        unsafe { page.ask_since("IORING_SEND_VECTORIZED", "SEND of 2 pieces", &mut ring, entry) }?;
    if answer.is_some() {
        page.saw("the peer has both", read(&mut peer, 9)? == b"in pieces")?;
    }
    more_than_fits(page, &mut ring)?;

    drop(peer);
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    let why = "the socket is not connected: SENDMSG can name an address";
    for (asked, entry, errno, why) in [
        ("SEND after the peer is gone", send(&ours, b"x"), Errno::EPIPE, "no SIGPIPE comes"),
        ("SEND on a UDP socket", send(&udp, b"x"), Errno::EDESTADDRREQ, why),
        ("SEND on a file", send(&std::fs::File::open("/")?, b"x"), Errno::ENOTSOCK, "use WRITE"),
        (
            "SEND with the flag of a receive",
            send(&ours, b"x").ioprio(MULTISHOT),
            Errno::EINVAL,
            "a send is not MULTISHOT",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry.build(), errno, why) }?;
    }
    Ok(())
}

fn more_than_fits(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    const BIG: &[u8] = &[7; 1 << 20];
    let (ours, mut peer) = UnixStream::pair()?;
    setsockopt(&ours, sockopt::SndBuf, &(64 << 10))?;
    // SAFETY: here and below, what the entry points at is constant.
    let answer = unsafe { page.ask("SEND of 1 MiB", ring, send(&ours, BIG).build()) }?;
    page.saw("it took a part of that", answer.result < 1 << 20)?;
    let entry = send(&ours, b"x").flags(libc::MSG_DONTWAIT).build();
    let why = "the socket's buffer is full, and DONTWAIT forbids to wait";
    // SAFETY: as above.
    unsafe { page.refused("SEND of one more, DONTWAIT", ring, entry, Errno::EAGAIN, why) }?;
    let entry = send(&ours, BIG).flags(libc::MSG_WAITALL).build();
    // SAFETY: as above.
    let waiting = unsafe { page.start("SEND of 1 MiB, WAITALL", ring, entry) };
    read(&mut peer, answer.result as usize + BIG.len())?;
    let answer = page.answer(&waiting, ring)?;
    page.saw("the peer has read all, and it took all", answer.result == 1 << 20)
}
// ANCHOR_END: show

const POLL_FIRST: u16 = SEND_RECV_FLAGS.code("RECVSEND_POLL_FIRST") as u16;
const MULTISHOT: u16 = SEND_RECV_FLAGS.code("RECV_MULTISHOT") as u16;
const VECTORIZED: u16 = SEND_RECV_FLAGS.code("SEND_VECTORIZED") as u16;

fn send(socket: &impl AsFd, bytes: &'static [u8]) -> opcode::Send {
    opcode::Send::new(Fd(socket.as_fd().as_raw_fd()), bytes.as_ptr(), bytes.len() as u32)
}

fn read(peer: &mut UnixStream, len: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; len];
    peer.read_exact(&mut bytes)?;
    Ok(bytes)
}
