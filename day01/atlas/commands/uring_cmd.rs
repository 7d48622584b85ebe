//! URING_CMD: a command of the file's own driver, or of a socket.
//!
//! Since 5.19; of a socket since 6.6. Stands for ioctl(2), and on a socket for getsockopt(2),
//! setsockopt(2) and getsockname(2); liburing: `io_uring_prep_uring_cmd`, `io_uring_prep_cmd_sock`;
//! crate: `opcode::UringCmd16`, `GetSockOpt`, `SetSockOpt`.
//! Takes a descriptor or a slot, the command's number (`cmd_op`), and 16 bytes for the driver (80
//! in an entry of 128 bytes). Returns the driver's result.
//! Other files that know commands: NVMe's, block devices, ublk, FUSE.

use std::fs::File;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, Where};
use common::catalog::{SOCKET_COMMANDS, URING_CMD_FLAGS};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::sys::socket::{getsockopt, sockopt};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_URING_CMD",
        "SOCKET_URING_OP_SIOCINQ",
        "SOCKET_URING_OP_SIOCOUTQ",
        "SOCKET_URING_OP_GETSOCKOPT",
        "SOCKET_URING_OP_SETSOCKOPT",
        "SOCKET_URING_OP_GETSOCKNAME",
        "IORING_URING_CMD_MULTISHOT",
        "UBLK_U_IO_FETCH_REQ",
        "UBLK_U_IO_COMMIT_AND_FETCH_REQ",
        "UBLK_U_IO_NEED_GET_DATA",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (socket, mut peer) = connection()?;
    let fd = Fd(socket.as_raw_fd());
    peer.write_all(b"five!")?;
    // Waits until they have arrived.
    while socket.peek(&mut [0; 5])? < 5 {}
    let (name, inq) = ("SOCKET_URING_OP_SIOCINQ", command(fd, "SIOCINQ"));
    // SAFETY: the command names no memory.
    let waiting = unsafe { page.ask_since(name, "SIOCINQ", &mut ring, inq) }?;
    let Some(waiting) = waiting else { return Ok(()) };
    page.saw("5 bytes wait to be received", waiting.result == 5)?;
    fill(&socket)?;
    // SAFETY: the command names no memory.
    let unsent = unsafe { page.ask("SIOCOUTQ", &mut ring, command(fd, "SIOCOUTQ")) }?;
    page.saw("bytes wait until the peer reads", unsent.result > 0)?;

    let (on, mut kind) = (1_i32, 0_i32);
    let (tcp, option) = (libc::IPPROTO_TCP as u32, libc::TCP_NODELAY as u32);
    let set = opcode::SetSockOpt::new(fd, tcp, option, ptr::from_ref(&on).cast(), 4).build();
    let (level, option) = (libc::SOL_SOCKET as u32, libc::SO_TYPE as u32);
    let get = opcode::GetSockOpt::new(fd, level, option, ptr::from_mut(&mut kind).cast(), 4);
    // SAFETY: the two options outlive the calls.
    unsafe {
        page.ask("SETSOCKOPT of TCP_NODELAY to 1", &mut ring, set)?;
        page.saw("getsockopt(2) says 1", getsockopt(&socket, sockopt::TcpNoDelay)?)?;
        page.ask("GETSOCKOPT of SO_TYPE", &mut ring, get.build())?;
    }
    page.saw("it is SOCK_STREAM", kind == libc::SOCK_STREAM)?;
    addresses(page, &mut ring, &socket)?;
    mistakes(page, &mut ring, fd)?;
    let why = "of all files only ublk's has a command that takes provided buffers";
    page.cannot("IORING_URING_CMD_MULTISHOT", why, Where::OtherMachine)?;
    for name in UBLK {
        let why = "needs the module ublk_drv, which is not part of a kernel's image";
        page.cannot(name, why, Where::OtherMachine)?;
    }
    Ok(())
}
// ANCHOR_END: show

/// Commands by which a program is a block device.
const UBLK: [&str; 3] =
    ["UBLK_U_IO_FETCH_REQ", "UBLK_U_IO_COMMIT_AND_FETCH_REQ", "UBLK_U_IO_NEED_GET_DATA"];

fn command(fd: Fd, name: &str) -> squeue::Entry {
    opcode::UringCmd16::new(fd, SOCKET_COMMANDS.code(name)).build()
}

/// Two ends of a connection on this machine.
fn connection() -> Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let client = TcpStream::connect(listener.local_addr()?)?;
    Ok((client, listener.accept()?.0))
}

/// Sends until no more fits.
fn fill(mut socket: &TcpStream) -> Result<()> {
    socket.set_nonblocking(true)?;
    while socket.write(&[0; 65536]).is_ok() {}
    Ok(())
}

/// The socket's own address, and its peer's.
fn addresses(page: &mut Page, ring: &mut IoUring, socket: &TcpStream) -> Result<()> {
    // SAFETY: the structure is all numbers, and may be zeros.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    let mut length = size_of_val(&address) as libc::socklen_t;
    let name = "SOCKET_URING_OP_GETSOCKNAME";
    let (own, peer) = (socket.local_addr()?.port(), socket.peer_addr()?.port());
    for (peer, asked, port) in [(0, "GETSOCKNAME", own), (1, "GETSOCKNAME of the peer", peer)] {
        let entry = command(Fd(socket.as_raw_fd()), "GETSOCKNAME")
            .addr(ptr::from_mut(&mut address).expose_provenance() as u64)
            .addr3(ptr::from_mut(&mut length).expose_provenance() as u64)
            .file_index(peer);
        // SAFETY: `address` and `length`, which the kernel writes to, outlive the call.
        if unsafe { page.ask_since(name, asked, ring, entry) }?.is_none() {
            break;
        }
        page.saw("std has the same port", u16::from_be(address.sin_port) == port)?;
    }
    Ok(())
}

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let (unix, _peer) = UnixStream::pair()?;
    let file = File::open("/proc/self/exe")?;
    let mut value = 0_i32;
    let (level, option) = (libc::IPPROTO_TCP as u32, libc::TCP_NODELAY as u32);
    let get = opcode::GetSockOpt::new(fd, level, option, ptr::from_mut(&mut value).cast(), 4);
    for (asked, entry, errno, why) in [
        (
            "GETSOCKOPT of TCP_NODELAY",
            get.build(),
            Errno::EOPNOTSUPP,
            "GETSOCKOPT knows the level SOL_SOCKET only, SETSOCKOPT all levels",
        ),
        (
            "SIOCINQ of a Unix socket",
            command(Fd(unix.as_raw_fd()), "SIOCINQ"),
            Errno::EOPNOTSUPP,
            "only ioctl(2) has it there",
        ),
        (
            "command 1000 of a socket",
            opcode::UringCmd16::new(fd, 1000).build(),
            Errno::EOPNOTSUPP,
            "sockets have no such command",
        ),
        (
            "command 0 of a file",
            opcode::UringCmd16::new(Fd(file.as_raw_fd()), 0).build(),
            Errno::EOPNOTSUPP,
            "its file system has no commands",
        ),
        (
            "SIOCINQ with MULTISHOT",
            command(fd, "SIOCINQ").op_flags(URING_CMD_FLAGS.code("MULTISHOT")),
            Errno::EINVAL,
            "MULTISHOT goes together with provided buffers",
        ),
    ] {
        // SAFETY: the kernel refuses each before it writes anything.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
