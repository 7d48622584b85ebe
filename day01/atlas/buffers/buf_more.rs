//! BUF_MORE: one large provided buffer, filled by many completions.
//!
//! Since 6.12. liburing: `IOU_PBUF_RING_INC` for `io_uring_setup_buf_ring`; crate:
//! `cqueue::buffer_more`.
//! In a group registered with `IOU_PBUF_RING_INC`, a completion takes of a buffer what it needs.
//! With `IORING_CQE_F_BUF_MORE` the kernel goes on behind these bytes: only they belong to the
//! program. Without it, the buffer is used up and can be provided again.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{BufferRing, Entry, Page, Result};
use common::catalog::BUFFER_RING_FLAGS;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_CQE_F_BUF_MORE", "IORING_CQE_F_BUFFER", "IOU_PBUF_RING_INC"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    let incremental = BUFFER_RING_FLAGS.code("INC") as u16;
    let registered = BufferRing::register(&ring, 7, 2, 16, incremental);
    let asked = "register group 7: 2 buffers of 16 bytes, INC";
    let Some(mut buffers) = page.call_since("IOU_PBUF_RING_INC", asked, registered)? else {
        return Ok(());
    };
    (0..2).for_each(|id| buffers.provide(id));
    let receive = opcode::RecvMulti::new(Fd(ours.as_raw_fd()), 7).build();
    // SAFETY: the entry points at no memory, and that of the group is never freed.
    let receiving = unsafe { page.start("RECV, MULTISHOT", &mut ring, receive) };
    let mut answers = Vec::new();
    for words in ["little ", "by ", "little"] {
        peer.write_all(words.as_bytes())?;
        answers.push(page.answer(&receiving, &mut ring)?);
    }
    page.saw("all three took buffer 0", answers.iter().all(|answer| answer.buffer() == Some(0)))?;
    page.saw("one behind the other", buffers.bytes(0, 16) == b"little by little")?;
    let more: Vec<_> = answers.iter().map(|answer| cqueue::buffer_more(answer.flags)).collect();
    page.saw("BUF_MORE until it was full", more == [true, true, false])?;
    peer.write_all(b"next")?;
    let answer = page.answer(&receiving, &mut ring)?;
    page.saw("then came buffer 1", answer.buffer() == Some(1))?;
    drop(peer);
    let end = page.answer(&receiving, &mut ring)?;
    page.saw("the stream's end", end.result == 0 && !end.more())
}
// ANCHOR_END: show
