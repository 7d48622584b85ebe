//! SENDMSG: send a message: in pieces, to an address, with control data.
//!
//! Since 5.3. Stands for sendmsg(2); liburing: `io_uring_prep_sendmsg`; crate: `opcode::SendMsg`.
//! Takes a socket or a slot, a `struct msghdr`, the `MSG_*` flags; in `ioprio`, those of SEND but
//! for BUNDLE. The kernel copies the header and the list of pieces when it is submitted
//! (`IORING_FEAT_SUBMIT_STABLE`), and reads the bytes until it completes. Returns how many it took.

use std::fs::File;
use std::io::{IoSlice, IoSliceMut, Read};
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, FromRawFd};
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;

use anyhow::ensure;
use atlas::{Entry, Page, Result};
use common::catalog::SEND_RECV_FLAGS;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::socket::SockaddrLike;

use super::{Control, address_of, message, room};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_SENDMSG"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    let pieces = [IoSlice::new(b"in "), IoSlice::new(b"pieces")];
    let header = message(&pieces);
    // SAFETY: here and below, the header and what it points at live until the completion.
    unsafe { page.ask("SENDMSG of 2 pieces", &mut ring, send(&ours, &header).build()) }?;
    let mut received = [0; 9];
    peer.read_exact(&mut received)?;
    page.saw("the peer has both", received == *b"in pieces")?;
    let bundle = send(&ours, &header).ioprio(BUNDLE).build();
    let why = "only SEND and RECV have bundles";
    // SAFETY: as above.
    unsafe { page.refused("SENDMSG, BUNDLE", &mut ring, bundle, Errno::EINVAL, why) }?;
    with_a_descriptor(page, &mut ring)?;
    to_an_address(page, &mut ring)
}

fn with_a_descriptor(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (ours, peer) = UnixStream::pair()?;
    let file = page.scratch()?.file("passed")?;
    let pieces = [IoSlice::new(b"a file")];
    let mut header = message(&pieces);
    let mut control = Control::of(file.as_raw_fd());
    control.attach_to(&mut header);
    // SAFETY: here and below, the header and what it points at live until the completion.
    unsafe { page.ask("SENDMSG with a descriptor", ring, send(&ours, &header).build()) }?;
    let passed = receive_descriptor(&peer)?;
    let same = passed.metadata()?.ino() == file.metadata()?.ino();
    page.saw("the peer has a descriptor of the same file", same)?;

    let mut control = Control::of(-1);
    control.attach_to(&mut header);
    let entry = send(&ours, &header).build();
    // SAFETY: as above.
    unsafe {
        page.refused("SENDMSG with descriptor -1", ring, entry, Errno::EBADF, "it is not open")
    }
}

fn to_an_address(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let [from, to] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    let there = address_of(&to)?;
    let pieces = [IoSlice::new(&[7; 1 << 16])];
    let mut header = message(&pieces);
    header.msg_name = there.as_ptr().cast_mut().cast();
    header.msg_namelen = there.len();
    let entry = send(&from, &header).build();
    let why = "a UDP datagram has up to 65507";
    // SAFETY: here and below, the header and what it points at live until the completion.
    unsafe { page.refused("SENDMSG of 65536 bytes by UDP", ring, entry, Errno::EMSGSIZE, why) }?;
    header.msg_iovlen = 0;
    let entry = send(&from, &header).build();
    // SAFETY: as above.
    unsafe { page.ask("SENDMSG of 0 bytes to an address", ring, entry) }?;
    let (len, sender) = to.recv_from(&mut [0; 16])?;
    page.saw("an empty datagram, from our port", len == 0 && sender == from.local_addr()?)
}

fn send(socket: &impl AsFd, header: &libc::msghdr) -> opcode::SendMsg {
    opcode::SendMsg::new(Fd(socket.as_fd().as_raw_fd()), header)
}
// ANCHOR_END: show

const BUNDLE: u16 = SEND_RECV_FLAGS.code("RECVSEND_BUNDLE") as u16;

/// Receives some bytes and a descriptor, by recvmsg(2).
fn receive_descriptor(peer: &UnixStream) -> Result<File> {
    let mut bytes = [0; 16];
    let mut pieces = [IoSliceMut::new(&mut bytes)];
    let mut header = room(&mut pieces);
    let mut control = Control::of(-1);
    control.attach_to(&mut header);
    // SAFETY: the header and what it points at live during the call.
    Errno::result(unsafe { libc::recvmsg(peer.as_raw_fd(), &raw mut header, 0) })?;
    ensure!(control.fd >= 0, "a descriptor came with the bytes");
    // SAFETY: the kernel has just made this descriptor for us.
    Ok(unsafe { File::from_raw_fd(control.fd) })
}
