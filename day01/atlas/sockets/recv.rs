//! RECV: receive bytes from a socket.
//!
//! Since 5.6. Stands for recv(2); liburing: `io_uring_prep_recv`; crate: `opcode::Recv`.
//! Takes a socket or a slot, room for bytes, and the `MSG_*` flags; in `ioprio`, flags of its own.
//! Returns how many bytes came: any number up to that room, 0 at the end of a stream. Waits while
//! nothing is there, unless `MSG_DONTWAIT` is set, and until the room is full with `MSG_WAITALL`.
//! `IORING_CQE_F_SOCK_NONEMPTY` (5.19) means that the socket has more.

use std::fs::File;
use std::io::Write;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};

use atlas::{Entry, Page, Result};
use common::catalog::SEND_RECV_FLAGS;
use common::memory::forever;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};
use nix::errno::Errno;

use super::{tcp_pair, tcp_socket};

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_RECV", "IORING_RECVSEND_POLL_FIRST", "IORING_CQE_F_SOCK_NONEMPTY"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = tcp_pair()?;
    let mut room = [0; 16];
    peer.write_all(b"hello")?;
    let entry = receive(&ours, &mut room).build();
    // SAFETY: here and below, the room lives until the completion.
    let answer = unsafe { page.ask("RECV of up to 16 bytes", &mut ring, entry) }?;
    page.saw("5 came, those of the peer", answer.result == 5 && room.starts_with(b"hello"))?;
    how_long_it_waits(page, &mut ring)?;

    let udp = UdpSocket::bind("127.0.0.1:0")?;
    udp.send_to(b"a datagram", udp.local_addr()?)?;
    let entry = receive(&udp, &mut room[..2]).build();
    // SAFETY: as above.
    unsafe { page.ask("RECV of up to 2, of a datagram of 10", &mut ring, entry) }?;
    let rest = receive(&udp, &mut room).flags(libc::MSG_DONTWAIT).build();
    let why = "the rest of a datagram is lost; RECVMSG says so with MSG_TRUNC";
    // SAFETY: as above.
    unsafe { page.refused("RECV of the other 8, DONTWAIT", &mut ring, rest, Errno::EAGAIN, why) }?;

    let (file, unconnected) = (File::open("/")?, tcp_socket()?);
    let from_file = receive(&file, &mut room).build();
    let too_early = receive(&unconnected, &mut room).build();
    for (asked, entry, errno, why) in [
        ("RECV from a file", from_file, Errno::ENOTSOCK, "READ takes files and sockets"),
        ("RECV before CONNECT", too_early, Errno::ENOTCONN, "the socket has no peer"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    drop(peer);
    let entry = receive(&ours, &mut room).build();
    // SAFETY: as above.
    let answer = unsafe { page.ask("RECV after the peer has closed", &mut ring, entry) }?;
    page.saw("0 is the end of the stream", answer.result == 0)
}

fn how_long_it_waits(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (ours, mut peer) = tcp_pair()?;
    let all = receive(&ours, forever([0; 10])).flags(libc::MSG_WAITALL).build();
    // SAFETY: the room is never freed.
    let waiting = unsafe { page.start("RECV of 10, WAITALL", ring, all) };
    peer.write_all(b"first")?;
    peer.write_all(b"second")?;
    let answer = page.answer(&waiting, ring)?;
    page.saw("it waited for 10", answer.result == 10)?;

    let mut room = [0; 8];
    peer.write_all(b"ly, more bytes")?;
    let entry = receive(&ours, &mut room).ioprio(POLL_FIRST).build();
    let name = "IORING_RECVSEND_POLL_FIRST";
    // SAFETY: here and below, the room lives until the completion.
    let answer = unsafe { page.ask_since(name, "RECV of up to 8, POLL_FIRST", ring, entry) }?;
    let Some(answer) = answer else { return page.lacks("IORING_CQE_F_SOCK_NONEMPTY") };
    page.saw("SOCK_NONEMPTY: more is there", cqueue::sock_nonempty(answer.flags))?;
    let entry = receive(&ours, &mut room).ioprio(POLL_FIRST).flags(libc::MSG_DONTWAIT).build();
    let asked = "RECV, POLL_FIRST and DONTWAIT";
    let why = "more is there, but POLL_FIRST does not look before a wait, and DONTWAIT forbids it";
    // SAFETY: as above.
    unsafe { page.refused(asked, ring, entry, Errno::EAGAIN, why) }
}
// ANCHOR_END: show

const POLL_FIRST: u16 = SEND_RECV_FLAGS.code("RECVSEND_POLL_FIRST") as u16;

fn receive(socket: &impl AsFd, room: &mut [u8]) -> opcode::Recv {
    let fd = Fd(socket.as_fd().as_raw_fd());
    opcode::Recv::new(fd, room.as_mut_ptr(), room.len() as u32)
}
