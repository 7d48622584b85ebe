//! SOCKET: make a socket.
//!
//! Since 5.19. Stands for socket(2); liburing: `io_uring_prep_socket`, `…_socket_direct`,
//! `…_socket_direct_alloc`; crate: `opcode::Socket`.
//! Takes a domain, a type (with `SOCK_NONBLOCK` and `SOCK_CLOEXEC` in it) and a protocol. Returns
//! a descriptor; with `file_index`, the socket goes into that slot (0 is returned), or into a free
//! one (its number is returned), and the process gets no descriptor.

use std::net::TcpListener;
use std::os::fd::{FromRawFd, OwnedFd};

use atlas::{Entry, Page, Result};
use io_uring::types::{DestinationSlot, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::socket::{SockType, SockaddrLike, getsockopt, sockopt};

use super::address_of;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_SOCKET"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let tcp = |kind| opcode::Socket::new(libc::AF_INET, kind, 0);
    let for_us_alone = tcp(libc::SOCK_STREAM | libc::SOCK_CLOEXEC);
    let asked = "SOCKET, a TCP socket that exec closes";
    // SAFETY: the entry points at no memory.
    let answer = unsafe { page.ask(asked, &mut ring, for_us_alone.build()) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let socket = unsafe { OwnedFd::from_raw_fd(answer.result) };
    let is_stream = getsockopt(&socket, sockopt::SockType)? == SockType::Stream;
    page.saw("getsockopt(SO_TYPE): SOCK_STREAM", is_stream)?;
    let flags = FdFlag::from_bits_retain(fcntl(&socket, FcntlArg::F_GETFD)?);
    page.saw("fcntl(F_GETFD): FD_CLOEXEC", flags == FdFlag::FD_CLOEXEC)?;

    page.call("register a table of one slot", ring.submitter().register_files(&[-1]))?;
    let free = Some(DestinationSlot::auto_target());
    let direct = tcp(libc::SOCK_STREAM).file_index(free).build();
    // SAFETY: as above.
    let slot = unsafe { page.ask("SOCKET into a free slot", &mut ring, direct.clone()) }?.result;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let there = address_of(&listener)?;
    let connect = opcode::Connect::new(Fixed(slot as u32), there.as_ptr(), there.len()).build();
    // SAFETY: `there` lives until the completion.
    unsafe { page.ask("CONNECT of that slot to a listener", &mut ring, connect) }?;
    page.saw("the listener has the connection", listener.accept().is_ok())?;

    let flagged = tcp(libc::SOCK_STREAM).flags(libc::SOCK_CLOEXEC).build();
    let slot_0 = DestinationSlot::try_from_slot_target(0).ok();
    let cloexec = tcp(libc::SOCK_STREAM | libc::SOCK_CLOEXEC).file_index(slot_0).build();
    let udp = opcode::Socket::new(libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_UDP).build();
    for (asked, entry, errno, why) in [
        ("SOCKET with SOCK_CLOEXEC as flags", flagged, Errno::EINVAL, "it belongs to the type"),
        ("SOCKET, SOCK_CLOEXEC, into slot 0", cloexec, Errno::EINVAL, "exec inherits no slot"),
        ("SOCKET into a free slot", direct, Errno::ENFILE, "the table is full"),
        ("SOCKET, a stream over UDP", udp, Errno::EPROTONOSUPPORT, "UDP has datagrams"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
