//! SENDMSG_ZC: send a message without a copy of its bytes.
//!
//! Since 6.1. Stands for sendmsg(2) with `MSG_ZEROCOPY`; liburing: `io_uring_prep_sendmsg_zc`,
//! `io_uring_prep_sendmsg_zc_fixed`; crate: `opcode::SendMsgZc`.
//! Takes what SENDMSG takes, and has the completions of SEND_ZC: the result, then a notification
//! when the kernel needs the bytes no longer. Since 6.15 the pieces can lie in one registered
//! buffer (`IORING_RECVSEND_FIXED_BUF`).

use std::io::{IoSlice, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use atlas::{Ask, Entry, Page, Result, Where, is_older_than};
use common::catalog::SEND_RECV_FLAGS;
use common::memory::forever;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use crate::sockets::{message, tcp_pair};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_SENDMSG_ZC",
        "IORING_SEND_ZC_REPORT_USAGE",
        "IORING_RECVSEND_FIXED_BUF",
        "IORING_CQE_F_MORE",
        "IORING_CQE_F_NOTIF",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = tcp_pair()?;
    let pieces = [IoSlice::new(b"in "), IoSlice::new(b"pieces")];
    let header = message(&pieces);
    let entry = send(&ours, &header).build();
    // SAFETY: here and below, the header and what it points at live until the last completion.
    let answers = unsafe { page.ask_all(&mut ring, [Ask::new("SENDMSG_ZC, 2 pieces", entry)]) }?;
    let two = matches!(&answers[..], [sent, done] if sent.more() && done.is_notification());
    page.saw("the result with MORE, then a notification", two)?;
    page.saw("the peer has both pieces", read(&mut peer)? == *b"in pieces")?;

    let entry = send(&ours, &header).ioprio(REPORT_USAGE).build();
    // SAFETY: as above.
    let sending = unsafe { page.start("SENDMSG_ZC, REPORT_USAGE", &mut ring, entry) };
    if page.answer_since("IORING_SEND_ZC_REPORT_USAGE", &sending, &mut ring)?.is_some() {
        page.answer(&sending, &mut ring)?;
    }
    let (unix, _peer) = UnixStream::pair()?;
    let unix = send(&unix, &header).build();
    let silent = send(&ours, &header).build().flags(Flags::SKIP_SUCCESS);
    for (asked, entry, errno, why) in [
        ("SENDMSG_ZC on a Unix socket", unix, Errno::EOPNOTSUPP, "use SENDMSG"),
        ("SENDMSG_ZC, CQE_SKIP_SUCCESS", silent, Errno::EINVAL, "the notification must come"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    from_a_registered_buffer(page, &mut ring)
}

fn from_a_registered_buffer(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    if is_older_than("6.15") {
        let why = "SENDMSG_ZC takes registered buffers since Linux 6.15";
        return page.cannot("IORING_RECVSEND_FIXED_BUF", why, Where::NewerKernel);
    }
    let (ours, mut peer) = tcp_pair()?;
    let bytes: &[u8] = forever(*b"pieces in a buffer");
    let buffer = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the bytes are never freed, and the kernel only reads them.
    let registered = unsafe { ring.submitter().register_buffers(&[buffer]) };
    page.call("register a buffer of 18 bytes", registered)?;
    let pieces = [IoSlice::new(&bytes[7..10]), IoSlice::new(&bytes[..6])];
    let header = message(&pieces);
    let entry = send(&ours, &header).buf_index(Some(0)).build();
    // SAFETY: here and below, the header and what it points at live until the last completion.
    unsafe { page.ask("SENDMSG_ZC, two pieces of buffer 0", ring, entry) }?;
    page.saw("the peer has both", read(&mut peer)? == *b"in pieces")?;
    let pieces = [IoSlice::new(b"hello")];
    let header = message(&pieces);
    let entry = send(&ours, &header).buf_index(Some(0)).build();
    let why = "it lies outside of the buffer";
    // SAFETY: as above.
    unsafe { page.refused("SENDMSG_ZC, another piece", ring, entry, Errno::EFAULT, why) }
}
// ANCHOR_END: show

const REPORT_USAGE: u16 = SEND_RECV_FLAGS.code("SEND_ZC_REPORT_USAGE") as u16;

fn send(socket: &impl AsFd, header: &libc::msghdr) -> opcode::SendMsgZc {
    opcode::SendMsgZc::new(Fd(socket.as_fd().as_raw_fd()), header)
}

fn read(peer: &mut TcpStream) -> Result<[u8; 9]> {
    let mut bytes = [0; 9];
    peer.read_exact(&mut bytes)?;
    Ok(bytes)
}
