//! CONNECT: connect a socket to an address.
//!
//! Since 5.5. Stands for connect(2); liburing: `io_uring_prep_connect`; crate: `opcode::Connect`.
//! Takes a socket or a slot, and an address with its length. Returns 0 once it is connected, also
//! for a non-blocking socket: EINPROGRESS never comes. It waits as long as TCP tries, which is
//! minutes: link a LINK_TIMEOUT to it.

use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::sys::socket::{
    self, AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrLike, UnixAddr,
};

use super::address_of;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_CONNECT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let there = address_of(&listener)?;
    let by_call = non_blocking(AddressFamily::Inet)?;
    let connected = socket::connect(by_call.as_raw_fd(), &there);
    let why = "the call does not wait on a non-blocking socket";
    page.call_refused("connect(2), non-blocking", connected, Errno::EINPROGRESS, why)?;
    listener.accept()?;

    let ours = non_blocking(AddressFamily::Inet)?;
    // SAFETY: here and below, the address lives until the completion.
    unsafe { page.ask("CONNECT, non-blocking", &mut ring, connect(&ours, &there)) }?;
    let (_peer, from) = listener.accept()?;
    let is_ours = from.port() == address_of(&ours)?.port();
    page.saw("the listener has a connection from our port", is_ours)?;

    let silent = non_blocking(AddressFamily::Inet)?;
    socket::bind(silent.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0))?;
    let silent_there = address_of(&silent)?;
    let again = non_blocking(AddressFamily::Inet)?;
    let path = UnixAddr::new("/nonexistent/socket")?;
    let unix = non_blocking(AddressFamily::Unix)?;
    for (asked, entry, errno, why) in [
        ("CONNECT of it again", connect(&ours, &there), Errno::EISCONN, "it is connected"),
        (
            "CONNECT to a port without a listener",
            connect(&again, &silent_there),
            Errno::ECONNREFUSED,
            "the host answered with a reset",
        ),
        ("CONNECT to a path", connect(&unix, &path), Errno::ENOENT, "no server has made it"),
        (
            "CONNECT of a TCP socket to a path",
            connect(&again, &path),
            Errno::EAFNOSUPPORT,
            "the address is of another family than the socket",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    // SAFETY: as above.
    unsafe { page.ask("CONNECT of the refused one", &mut ring, connect(&again, &there)) }.map(drop)
}

fn connect(socket: &OwnedFd, address: &impl SockaddrLike) -> squeue::Entry {
    opcode::Connect::new(Fd(socket.as_raw_fd()), address.as_ptr(), address.len()).build()
}
// ANCHOR_END: show

fn non_blocking(family: AddressFamily) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    Ok(socket::socket(family, SockType::Stream, flags, None)?)
}
