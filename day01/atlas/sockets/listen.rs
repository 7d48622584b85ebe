//! LISTEN: let clients connect to a socket.
//!
//! Since 6.11. Stands for listen(2); liburing: `io_uring_prep_listen`; crate: `opcode::Listen`.
//! Takes a socket or a slot that has an address, and how many connections may wait to be accepted
//! (the kernel takes no more than `net.core.somaxconn`). Returns 0. From then on clients connect,
//! even before they are accepted.

use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixDatagram;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, bind, getsockopt, setsockopt, sockopt};

use super::{address_of, tcp_socket};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_LISTEN"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let listen = |socket: &dyn AsFd, backlog| {
        opcode::Listen::new(Fd(socket.as_fd().as_raw_fd()), backlog).build()
    };
    let [first, second] = [tcp_socket()?, tcp_socket()?];
    for socket in [&first, &second] {
        setsockopt(socket, sockopt::ReuseAddr, &true)?;
    }
    page.call("bind a socket", bind(first.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, 0)))?;
    let address = address_of(&first)?;
    let asked = "bind a second one there (both have SO_REUSEADDR)";
    page.call(asked, bind(second.as_raw_fd(), &address))?;

    // SAFETY: the entry points at no memory.
    unsafe { page.ask("LISTEN on the first", &mut ring, listen(&first, 8)) }?;
    let listens = getsockopt(&first, sockopt::AcceptConn)?;
    page.saw("getsockopt(SO_ACCEPTCONN): it listens", listens)?;
    let client = TcpStream::connect((address.ip(), address.port()))?;
    page.saw("a client connects before it is accepted", client.peer_addr().is_ok())?;

    let datagrams = UnixDatagram::unbound()?;
    for (asked, entry, errno, why) in [
        (
            "LISTEN on the second",
            listen(&second, 8),
            Errno::EADDRINUSE,
            "one socket listens on a port",
        ),
        ("LISTEN on the client's end", listen(&client, 8), Errno::EINVAL, "it is connected"),
        ("LISTEN on datagrams", listen(&datagrams, 8), Errno::EOPNOTSUPP, "they do not connect"),
        (
            "LISTEN on a file",
            listen(&std::fs::File::open("/")?, 8),
            Errno::ENOTSOCK,
            "it is no socket",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
