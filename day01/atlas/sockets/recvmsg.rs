//! RECVMSG: receive a message: in pieces, with its sender and control data.
//!
//! Since 5.3. Stands for recvmsg(2); liburing: `io_uring_prep_recvmsg`,
//! `io_uring_prep_recvmsg_multishot`; crate: `opcode::RecvMsg`, `opcode::RecvMsgMulti`.
//! Takes a socket or a slot, a `struct msghdr`, and the `MSG_*` flags; in `ioprio`, the flags of
//! RECV but for BUNDLE. Returns how many bytes came; the kernel writes the sender, the control
//! data and their lengths, and what was cut off (`msg_flags`: `MSG_TRUNC`, `MSG_CTRUNC`).
//! With MULTISHOT (6.0) every message goes into a provided buffer of its own, behind a
//! `struct io_uring_recvmsg_out`, the sender and the control data. So `res` is more than the
//! message's length.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use atlas::{BufferRing, Entry, Page, Result};
use common::catalog::SEND_RECV_FLAGS;
use io_uring::squeue::Flags;
use io_uring::types::{Fd, RecvMsgOut};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{Control, message, room};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_RECVMSG", "IORING_RECV_MULTISHOT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let udp = UdpSocket::bind("127.0.0.1:0")?;
    let client = UdpSocket::bind("127.0.0.1:0")?;
    let (mut head, mut rest) = ([0; 4], [0; 4]);
    let mut pieces = [IoSliceMut::new(&mut head), IoSliceMut::new(&mut rest)];
    let mut header = room(&mut pieces);
    // SAFETY: all zeros are an address of no family.
    let mut sender: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    header.msg_name = (&raw mut sender).cast();
    header.msg_namelen = size_of_val(&sender) as _;

    client.send_to(b"ten bytes.", udp.local_addr()?)?;
    let entry = receive(&udp, &mut header).build();
    // SAFETY: here and below, the header and what it points at live until the completion.
    unsafe { page.ask("RECVMSG into 4 and 4 bytes, of 10", &mut ring, entry) }?;
    let port = u16::from_be(sender.sin_port);
    page.saw("the sender is the client", port == client.local_addr()?.port())?;
    page.saw("each piece is full", head == *b"ten " && rest == *b"byte")?;
    page.saw("MSG_TRUNC: the other 2 are lost", header.msg_flags & libc::MSG_TRUNC != 0)?;

    let too_early = receive(&udp, &mut header).flags(libc::MSG_DONTWAIT as u32).build();
    let selected = receive(&udp, &mut header).build().flags(Flags::BUFFER_SELECT);
    let multishot = receive(&udp, &mut header).ioprio(MULTISHOT).build();
    for (asked, entry, errno, why) in [
        ("RECVMSG, DONTWAIT", too_early, Errno::EAGAIN, "no message is there"),
        ("RECVMSG of 2 pieces, BUFFER_SELECT", selected, Errno::EINVAL, "it picks one buffer"),
        (
            "RECVMSG, MULTISHOT without BUFFER_SELECT",
            multishot,
            Errno::EINVAL,
            "each message needs a buffer of its own",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    a_descriptor(page, &mut ring)?;
    every_message(page, &mut ring, &udp, &client)
}

fn a_descriptor(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (ours, peer) = UnixStream::pair()?;
    let file = page.scratch()?.file("passed")?;
    pass(&peer, &file)?;
    let mut byte = [0];
    let mut pieces = [IoSliceMut::new(&mut byte)];
    let mut header = room(&mut pieces);
    let mut control = Control::of(-1);
    control.attach_to(&mut header);
    let entry = receive(&ours, &mut header).flags(libc::MSG_CMSG_CLOEXEC as u32).build();
    // SAFETY: here and below, the header and what it points at live until the completion.
    unsafe { page.ask("RECVMSG with room for a descriptor", ring, entry) }?;
    page.saw("there is one", control.fd >= 0)?;
    // SAFETY: the kernel has just made this descriptor for us.
    let passed = unsafe { File::from_raw_fd(control.fd) };
    page.saw("it is of the same file", passed.metadata()?.ino() == file.metadata()?.ino())?;

    pass(&peer, &file)?;
    header.msg_controllen = 0;
    let entry = receive(&ours, &mut header).build();
    // SAFETY: as above.
    unsafe { page.ask("RECVMSG without room for it", ring, entry) }?;
    let is_cut = header.msg_flags & libc::MSG_CTRUNC != 0;
    page.saw("MSG_CTRUNC: the descriptor is lost", is_cut)
}

fn every_message(
    page: &mut Page,
    ring: &mut IoUring,
    udp: &UdpSocket,
    client: &UdpSocket,
) -> Result<()> {
    let asked = "register groups 1 (buffers of 64 bytes) and 2 (of 16)";
    let groups = BufferRing::register(ring, 1, 2, 64, 0)
        .and_then(|large| Ok((large, BufferRing::register(ring, 2, 2, 16, 0)?)));
    let name = "IORING_REGISTER_PBUF_RING";
    let Some((mut large, mut small)) = page.call_since(name, asked, groups)? else { return Ok(()) };
    (0..2).for_each(|id| large.provide(id));
    (0..2).for_each(|id| small.provide(id));
    // Of this header, only the two lengths count.
    let mut header = room(&mut []);
    header.msg_namelen = size_of::<libc::sockaddr_in>() as _;
    let fd = Fd(udp.as_raw_fd());
    let entry = opcode::RecvMsgMulti::new(fd, &raw const header, 1).build();
    // SAFETY: the kernel reads the header at once, and the group's memory is never freed.
    let receiving = unsafe { page.start("RECVMSG, MULTISHOT", ring, entry) };
    client.send_to(b"first", udp.local_addr()?)?;
    let Some(first) = page.answer_since("IORING_RECV_MULTISHOT", &receiving, ring)? else {
        return Ok(());
    };
    page.saw("16 bytes of header, 16 of address, 5 of message", first.result == 16 + 16 + 5)?;
    let bytes = large.received(&first);
    let message = RecvMsgOut::parse(&bytes, &header).expect("a header and an address");
    page.saw("RecvMsgOut finds the message", message.payload_data() == b"first")?;
    client.send_to(b"a second message, which is too long for it", udp.local_addr()?)?;
    let second = page.answer(&receiving, ring)?;
    let bytes = large.received(&second);
    let message = RecvMsgOut::parse(&bytes, &header).expect("a header and an address");
    page.saw("its flags say MSG_TRUNC", message.is_payload_truncated())?;
    client.send_to(b"a third", udp.local_addr()?)?;
    page.ended(&receiving, ring, Errno::ENOBUFS, "there were two buffers")?;

    let entry = opcode::RecvMsgMulti::new(fd, &raw const header, 2).build();
    let why = "header and address alone need 32 bytes";
    // SAFETY: as above.
    unsafe { page.refused("RECVMSG, MULTISHOT, group 2", ring, entry, Errno::EFAULT, why) }
}
// ANCHOR_END: show

const MULTISHOT: u16 = SEND_RECV_FLAGS.code("RECV_MULTISHOT") as u16;

fn receive(socket: &impl AsFd, header: &mut libc::msghdr) -> opcode::RecvMsg {
    opcode::RecvMsg::new(Fd(socket.as_fd().as_raw_fd()), header)
}

/// Sends a byte and a descriptor, by sendmsg(2).
fn pass(peer: &UnixStream, file: &File) -> Result<()> {
    let pieces = [IoSlice::new(b"x")];
    let mut header = message(&pieces);
    let mut control = Control::of(file.as_raw_fd());
    control.attach_to(&mut header);
    // SAFETY: the header and what it points at live during the call.
    Errno::result(unsafe { libc::sendmsg(peer.as_raw_fd(), &raw const header, 0) })?;
    Ok(())
}
