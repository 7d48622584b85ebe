//! TX_TIMESTAMP: when sent data left the machine.
//!
//! A command of a socket, since 6.17. Stands for recvmsg(2) with MSG_ERRQUEUE, again and again;
//! liburing: `io_uring_prep_cmd_sock`; crate: `opcode::UringCmd16`.
//! Takes a socket with SO_TIMESTAMPING, in a ring with large completions (`IORING_SETUP_CQE32`, or
//! `CQE_MIXED`). It stays armed. Each completion carries one time: the second half has its seconds
//! and nanoseconds, the result says which send it was. The upper half of the flags says what
//! happened then (0 sent, 1 queued, 2 acknowledged), and its lowest bit, `IORING_CQE_F_TSTAMP_HW`,
//! that the network card measured the time.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use atlas::{Entry, Page, Result, Where};
use common::catalog::SOCKET_COMMANDS;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;
use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{TimestampingFlag, setsockopt};

pub const ENTRY: Entry =
    Entry { shows: &["SOCKET_URING_OP_TX_TIMESTAMP", "IORING_CQE_F_TSTAMP_HW"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let socket = socket()?;
    let code = const { SOCKET_COMMANDS.code("TX_TIMESTAMP") };
    let command = || opcode::UringCmd16::new(Fd(socket.as_raw_fd()), code).build();
    let built = IoUring::<squeue::Entry, cqueue::Entry32>::builder().build(4);
    let built = page.call_since("IORING_SETUP_CQE32", "a ring with CQE32", built)?;
    let Some(mut ring) = built else { return page.lacks("SOCKET_URING_OP_TX_TIMESTAMP") };
    let (name, asked) = ("SOCKET_URING_OP_TX_TIMESTAMP", "TX_TIMESTAMP in a ring without CQE32");
    let why = "a completion of 16 bytes has no room for a time";
    // SAFETY: here and below, the command names no memory.
    let known = unsafe {
        page.refused_since(name, asked, &mut IoUring::new(4)?, command(), Errno::EINVAL, why)
    }?;
    if !known {
        return Ok(());
    }
    // SAFETY: as above.
    let times = unsafe { page.start("TX_TIMESTAMP", &mut ring, command()) };
    for send in [0, 1] {
        socket.send(b"a datagram")?;
        let answer = page.answer(&times, &mut ring)?;
        page.saw(
            &format!("send {send} was sent"),
            answer.result == send && answer.flags >> 16 == 0,
        )?;
        let [seconds, nanoseconds] = answer.extra;
        let then = UNIX_EPOCH + Duration::new(seconds, nanoseconds as u32);
        page.saw("at a time that has passed", then <= SystemTime::now())?;
    }
    let cancel = opcode::AsyncCancel::new(times.user_data()).build();
    // SAFETY: the entry names no memory.
    unsafe { page.ask("ASYNC_CANCEL", &mut ring, cancel) }?;
    page.ended(&times, &mut ring, Errno::ECANCELED, "it stays armed until it is cancelled")?;
    let why = "loopback has no network card that could tell the time";
    page.cannot("IORING_CQE_F_TSTAMP_HW", why, Where::OtherMachine)
}
// ANCHOR_END: show

/// A socket that notes when each of its datagrams goes to the network.
fn socket() -> Result<UdpSocket> {
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    // It sends to itself, so no datagram is refused.
    socket.connect(socket.local_addr()?)?;
    let wanted = libc::SOF_TIMESTAMPING_TX_SOFTWARE
        | libc::SOF_TIMESTAMPING_SOFTWARE
        | libc::SOF_TIMESTAMPING_OPT_ID
        | libc::SOF_TIMESTAMPING_OPT_CMSG
        | libc::SOF_TIMESTAMPING_OPT_TSONLY;
    setsockopt(&socket, Timestamping, &TimestampingFlag::from_bits_retain(wanted))?;
    Ok(socket)
}
