//! BIND: give a socket its own address.
//!
//! Since 6.11. Stands for bind(2); liburing: `io_uring_prep_bind`; crate: `opcode::Bind`.
//! Takes a socket or a slot, and an address with its length. Returns 0. With port 0 the kernel
//! picks a free port, which getsockname(2) tells. With SOCKET, BIND, LISTEN and ACCEPT a server
//! needs no descriptors: all its sockets can be slots.
//! A port below `net.ipv4.ip_unprivileged_port_start` (1024) needs CAP_NET_BIND_SERVICE, or it is
//! EACCES (ip(7)).

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::socket::{SockaddrIn, SockaddrLike};
use std::os::fd::{AsRawFd, OwnedFd};

use super::{address_of, tcp_socket};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_BIND"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let socket = tcp_socket()?;
    let any_port = SockaddrIn::new(127, 0, 0, 1, 0);
    let bind = |socket: &OwnedFd, address: &SockaddrIn, len| {
        opcode::Bind::new(Fd(socket.as_raw_fd()), address.as_ptr(), len).build()
    };
    let entry = bind(&socket, &any_port, any_port.len());
    // SAFETY: here and below, the address lives until the completion.
    unsafe { page.ask("BIND to 127.0.0.1, any port", &mut ring, entry) }?;
    let bound = address_of(&socket)?;
    page.saw("getsockname: 127.0.0.1 and a port", bound.ip() == any_port.ip() && bound.port() > 0)?;

    let again = bind(&socket, &any_port, any_port.len());
    let other = tcp_socket()?;
    let taken = bind(&other, &bound, bound.len());
    let short = bind(&other, &any_port, 8);
    for (asked, entry, errno, why) in [
        ("BIND of the same socket", again, Errno::EINVAL, "it has an address already"),
        ("BIND of another to that port", taken, Errno::EADDRINUSE, "the first socket has it"),
        ("BIND with 8 as length", short, Errno::EINVAL, "an IPv4 address has 16 bytes"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
