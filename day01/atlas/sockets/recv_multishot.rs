//! RECV, MULTISHOT: one entry, a completion for whatever comes.
//!
//! Since 6.0. Stands for a loop of poll(2) and recv(2); liburing: `io_uring_prep_recv_multishot`;
//! crate: `opcode::RecvMulti`, without the limit of bytes in all (`atlas::raw` adds it).
//! Takes a socket or a slot, and a group of provided buffers: the kernel takes one for each
//! completion (`IORING_CQE_F_BUFFER`), when bytes are there. Goes on until a completion comes
//! without `IORING_CQE_F_MORE`: the stream's end (0), no buffer left (ENOBUFS), an error, or a full
//! completion queue. Then it must be submitted again. Since 6.17 `len` limits each completion, and
//! it ends once `optlen` bytes have come.

use std::io::Write;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::null_mut;

use atlas::raw::Fields;
use atlas::{Ask, BufferRing, Entry, Page, Result, Where, is_older_than};
use common::catalog::SEND_RECV_FLAGS;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_RECV_MULTISHOT", "IORING_CQE_F_MORE", "IORING_CQE_F_BUFFER"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    let asked = "register group 7: 4 buffers of 8 bytes";
    let registered = BufferRing::register(&ring, 7, 4, 8, 0);
    let name = "IORING_REGISTER_PBUF_RING";
    let Some(mut buffers) = page.call_since(name, asked, registered)? else { return Ok(()) };
    (0..4).for_each(|id| buffers.provide(id));
    let receive = || opcode::RecvMulti::new(Fd(ours.as_raw_fd()), 7);
    // SAFETY: here and below, the entry points at no memory, and that of the group is never freed.
    let receiving = unsafe { page.start("RECV, MULTISHOT", &mut ring, receive().build()) };
    peer.write_all(b"hello world")?;
    let name = "IORING_RECV_MULTISHOT";
    let first = page.answer_since(name, &receiving, &mut ring)?;
    let Some(first) = first else { return Ok(()) };
    let second = page.answer(&receiving, &mut ring)?;
    page.saw("more will come", first.more() && second.more())?;
    let came = [buffers.received(&first), buffers.received(&second)].concat();
    page.saw("the peer's 11 bytes are in two buffers", came == b"hello world")?;
    peer.write_all(b"17 bytes for two.")?;
    page.answer(&receiving, &mut ring)?;
    page.answer(&receiving, &mut ring)?;
    let why = "no buffer is left: it is over, and the last byte waits in the socket";
    page.ended(&receiving, &mut ring, Errno::ENOBUFS, why)?;

    for returned in [first, second] {
        buffers.provide(returned.buffer().expect("named in the completion"));
    }
    // SAFETY: as above.
    let receiving = unsafe { page.start("RECV, MULTISHOT, again", &mut ring, receive().build()) };
    let last = page.answer(&receiving, &mut ring)?;
    page.saw("the last byte", buffers.received(&last) == b".")?;
    peer.shutdown(Shutdown::Write)?;
    let end = page.answer(&receiving, &mut ring)?;
    page.saw("the stream's end: 0, and no MORE", end.result == 0 && !end.more())?;

    limits(page, &mut ring)?;
    let plain = opcode::Recv::new(Fd(ours.as_raw_fd()), null_mut(), 0).ioprio(MULTISHOT).build();
    let all = receive().flags(libc::MSG_WAITALL).build();
    let elsewhere = opcode::RecvMulti::new(Fd(ours.as_raw_fd()), 8).build();
    for (asked, entry, errno, why) in [
        (
            "RECV, MULTISHOT, no BUFFER_SELECT",
            plain,
            Errno::EINVAL,
            "each completion needs its own buffer",
        ),
        ("RECV, MULTISHOT, WAITALL", all, Errno::EINVAL, "it completes with what is there"),
        ("RECV, MULTISHOT, group 8", elsewhere, Errno::ENOBUFS, "no buffers were provided there"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}

fn limits(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    if is_older_than("6.17") {
        let what = "limits of a multishot receive";
        return page.cannot(what, "these came with Linux 6.17", Where::NewerKernel);
    }
    let (ours, mut peer) = UnixStream::pair()?;
    peer.write_all(b"ten bytes.")?;
    let mut buffers = BufferRing::register(ring, 9, 4, 8, 0)?;
    (0..4).for_each(|id| buffers.provide(id));
    let entry = opcode::RecvMulti::new(Fd(ours.as_raw_fd()), 9).len(3).build().file_index(5);
    let asked = "RECV, MULTISHOT, 3 bytes at a time, 5 in all, of 10";
    // SAFETY: the entry points at no memory, and that of the group is never freed.
    let answers = unsafe { page.ask_all(ring, [Ask::new(asked, entry)]) }?;
    let parts = answers.iter().map(|part| buffers.received(part)).collect::<Vec<_>>();
    page.saw("3 and 3 bytes: the second reached the limit", parts == [b"ten", b" by"])
}
// ANCHOR_END: show

const MULTISHOT: u16 = SEND_RECV_FLAGS.code("RECV_MULTISHOT") as u16;
