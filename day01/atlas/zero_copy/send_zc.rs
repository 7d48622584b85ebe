//! SEND_ZC: send bytes without a copy of them.
//!
//! Since 6.0. Stands for send(2) and sendto(2) with `MSG_ZEROCOPY`; liburing:
//! `io_uring_prep_send_zc`, `io_uring_prep_send_zc_fixed`; crate: `opcode::SendZc`.
//! Takes what SEND takes, an address where the socket is not connected, and a part of a registered
//! buffer with `IORING_RECVSEND_FIXED_BUF`. Two completions: the result, with `IORING_CQE_F_MORE`;
//! then, when the kernel needs the bytes no longer, a notification (`IORING_CQE_F_NOTIF`). Until
//! then the program must not change them. A refused send has one, too. With
//! `IORING_SEND_ZC_REPORT_USAGE` it says whether the kernel has copied after all, as it does over
//! loopback. Without a registered buffer, the bytes count against RLIMIT_MEMLOCK
//! (io_uring_prep_send_zc(3)). Since 7.1 `addr3` is the `user_data` of the notification.

use std::io::Read;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use atlas::raw::Fields;
use atlas::{Ask, Entry, Page, Result, Where, is_older_than};
use common::catalog::SEND_RECV_FLAGS;
use common::memory::forever;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::socket::SockaddrLike;

use crate::sockets::{address_of, tcp_pair};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_SEND_ZC",
        "IORING_SEND_ZC_REPORT_USAGE",
        "IORING_NOTIF_USAGE_ZC_COPIED",
        "IORING_RECVSEND_FIXED_BUF",
        "IORING_RECVSEND_POLL_FIRST",
        "IORING_CQE_F_MORE",
        "IORING_CQE_F_NOTIF",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = tcp_pair()?;
    let mut received = [0; 5];
    let entry = send(&ours, b"hello").build();
    // SAFETY: here and below, what the entry points at is constant, or never freed.
    let answers = unsafe { page.ask_all(&mut ring, [Ask::new("SEND_ZC of 5 bytes", entry)]) }?;
    peer.read_exact(&mut received)?;
    page.saw("the peer has them", received == *b"hello")?;
    let two = matches!(&answers[..], [sent, done] if sent.more() && done.is_notification());
    page.saw("the result with MORE, then a notification", two)?;

    let entry = send(&ours, b"hello").zc_flags(REPORT_USAGE | POLL_FIRST).build();
    // SAFETY: as above.
    let sending = unsafe { page.start("SEND_ZC, POLL_FIRST, REPORT_USAGE", &mut ring, entry) };
    if page.answer_since("IORING_SEND_ZC_REPORT_USAGE", &sending, &mut ring)?.is_some() {
        page.answer(&sending, &mut ring)?;
    }
    with_a_number_of_its_own(page, &mut ring)?;
    from_a_registered_buffer(page, &mut ring)?;
    to_an_address(page, &mut ring)?;

    let (unix, _peer) = UnixStream::pair()?;
    let unix = send(&unix, b"x").build();
    let silent = send(&ours, b"x").build().flags(Flags::SKIP_SUCCESS);
    let bundle = send(&ours, b"x").zc_flags(BUNDLE).build();
    for (asked, entry, errno, why) in [
        ("SEND_ZC on a Unix socket", unix, Errno::EOPNOTSUPP, "only IP sockets have it: use SEND"),
        ("SEND_ZC, CQE_SKIP_SUCCESS", silent, Errno::EINVAL, "its completions cannot be left out"),
        ("SEND_ZC, BUNDLE", bundle, Errno::EINVAL, "only SEND and RECV have bundles"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}

fn with_a_number_of_its_own(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    if is_older_than("7.1") {
        let what = "a user_data of its own for the notification";
        return page.cannot(what, "this came with Linux 7.1", Where::NewerKernel);
    }
    let (ours, _peer) = tcp_pair()?;
    let entry = send(&ours, b"hello").build().addr3(0xf4ee);
    // SAFETY: the bytes are constant.
    let sending = unsafe { page.start("SEND_ZC, 0xf4ee as addr3", ring, entry) };
    page.answer(&sending, ring)?;
    let notification = page.arrives("the notification, under 0xf4ee", ring, 0xf4ee);
    page.saw("it is one", notification.is_notification())
}

fn from_a_registered_buffer(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (ours, mut peer) = tcp_pair()?;
    let bytes: &[u8] = forever(*b"a registered buffer");
    let buffer = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: the bytes are never freed, and the kernel only reads them.
    let registered = unsafe { ring.submitter().register_buffers(&[buffer]) };
    page.call("register a buffer of 19 bytes", registered)?;
    let entry = send(&ours, &bytes[2..12]).buf_index(Some(0)).build();
    // SAFETY: as above.
    unsafe { page.ask("SEND_ZC of bytes 2 to 12 of buffer 0", ring, entry) }?;
    let mut received = [0; 10];
    peer.read_exact(&mut received)?;
    page.saw("the peer has these", received == *b"registered")?;
    let elsewhere = send(&ours, b"hello").buf_index(Some(0)).build();
    let unknown = send(&ours, bytes).buf_index(Some(1)).build();
    for (asked, entry, why) in [
        ("SEND_ZC of other bytes from it", elsewhere, "they lie outside of it"),
        ("SEND_ZC of buffer 1", unknown, "only 0 is registered"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry, Errno::EFAULT, why) }?;
    }
    Ok(())
}

fn to_an_address(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let [from, to] = [UdpSocket::bind("127.0.0.1:0")?, UdpSocket::bind("127.0.0.1:0")?];
    let there = address_of(&to)?;
    let entry = send(&from, b"a datagram").dest_addr(there.as_ptr()).dest_addr_len(there.len());
    // SAFETY: the address lives until the completion, and the bytes are constant.
    unsafe { page.ask("SEND_ZC to an address", ring, entry.build()) }?;
    let (len, sender) = to.recv_from(&mut [0; 16])?;
    page.saw("one datagram, from our port", len == 10 && sender == from.local_addr()?)
}
// ANCHOR_END: show

const BUNDLE: u16 = SEND_RECV_FLAGS.code("RECVSEND_BUNDLE") as u16;
const POLL_FIRST: u16 = SEND_RECV_FLAGS.code("RECVSEND_POLL_FIRST") as u16;
const REPORT_USAGE: u16 = SEND_RECV_FLAGS.code("SEND_ZC_REPORT_USAGE") as u16;

fn send(socket: &impl AsFd, bytes: &'static [u8]) -> opcode::SendZc {
    opcode::SendZc::new(Fd(socket.as_fd().as_raw_fd()), bytes.as_ptr(), bytes.len() as u32)
}
