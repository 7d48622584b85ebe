//! Making, connecting and using sockets.

use std::io::{IoSlice, IoSliceMut};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::ptr;

use atlas::Result;
use nix::sys::socket::{self as nix_socket, AddressFamily, SockFlag, SockType, SockaddrIn};

mod accept;
mod bind;
mod connect;
mod listen;
mod recv;
mod recv_multishot;
mod recvmsg;
mod recvsend_bundle;
mod send;
mod sendmsg;
mod shutdown;
mod socket;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[
    socket::ENTRY,
    bind::ENTRY,
    listen::ENTRY,
    accept::ENTRY,
    connect::ENTRY,
    send::ENTRY,
    recv::ENTRY,
    recv_multishot::ENTRY,
    recvsend_bundle::ENTRY,
    sendmsg::ENTRY,
    recvmsg::ENTRY,
    shutdown::ENTRY,
];

/// A TCP connection over loopback: both of its ends.
pub fn tcp_pair() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((listener.accept()?.0, client))
}

/// A TCP socket that is neither bound nor connected.
pub fn tcp_socket() -> Result<OwnedFd> {
    let cloexec = SockFlag::SOCK_CLOEXEC;
    Ok(nix_socket::socket(AddressFamily::Inet, SockType::Stream, cloexec, None)?)
}

/// The address that a socket is bound to.
pub fn address_of(socket: &impl AsRawFd) -> Result<SockaddrIn> {
    Ok(nix_socket::getsockname(socket.as_raw_fd())?)
}

/// A message of these pieces, without an address and control data. It points at `pieces`.
pub fn message(pieces: &[IoSlice<'_>]) -> libc::msghdr {
    // SAFETY: all zeros are a message of nothing.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = pieces.as_ptr().cast_mut().cast();
    header.msg_iovlen = pieces.len() as _;
    header
}

/// Room for a message, in these pieces. It points at `pieces`.
pub fn room(pieces: &mut [IoSliceMut<'_>]) -> libc::msghdr {
    // SAFETY: as above.
    let mut header: libc::msghdr = unsafe { mem::zeroed() };
    header.msg_iov = pieces.as_mut_ptr().cast();
    header.msg_iovlen = pieces.len() as _;
    header
}

/// Control data that passes one descriptor (cmsg(3), unix(7)).
#[repr(C)]
pub struct Control {
    header: libc::cmsghdr,
    pub fd: RawFd,
}

// SAFETY: it computes a length.
const _: () = assert!(size_of::<Control>() == unsafe { libc::CMSG_SPACE(4) } as usize);

impl Control {
    /// Control data that passes this descriptor, or that has room for one.
    pub fn of(fd: RawFd) -> Control {
        // SAFETY: all zeros are a header of nothing.
        let mut header: libc::cmsghdr = unsafe { mem::zeroed() };
        header.cmsg_level = libc::SOL_SOCKET;
        header.cmsg_type = libc::SCM_RIGHTS;
        // SAFETY: it computes a length.
        header.cmsg_len = unsafe { libc::CMSG_LEN(4) } as _;
        Control { header, fd }
    }

    /// Makes a message point at it.
    pub fn attach_to(&mut self, message: &mut libc::msghdr) {
        message.msg_control = ptr::from_mut(self).cast();
        message.msg_controllen = size_of::<Control>() as _;
    }
}
