//! FEAT_RECVSEND_BUNDLE: one send or receive can take several provided buffers.
//!
//! Since 6.10, by `IORING_RECVSEND_BUNDLE`. The completion names the first buffer and the number of
//! bytes: the others are those that follow in the ring. One completion instead of one a buffer.

use std::io::Write;
use std::os::fd::AsRawFd;

use atlas::raw::Fields;
use atlas::{BufferRing, Entry, Page, Result};
use io_uring::{opcode, types};
use nix::errno::Errno;

use super::{ring_with, sockets};

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_RECVSEND_BUNDLE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_RECVSEND_BUNDLE";
    let has = |params: &io_uring::Parameters| params.is_feature_recvsend_bundle();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    let registered = BufferRing::register(&ring, 1, 4, 4, 0);
    let mut buffers = page.call("a ring of 4 buffers of 4 bytes, group 1", registered)?;
    (0..4).for_each(|buffer| buffers.provide(buffer));
    let (ours, mut theirs) = sockets()?;
    page.call("10 bytes arrive; a buffer has 4", theirs.write_all(b"0123456789"))?;
    // With a length it takes as many buffers as that needs. Without a length the kernel chooses,
    // and for a Unix socket chooses one in Linux 6.12.
    let receive = opcode::RecvBundle::new(types::Fd(ours.as_raw_fd()), 1).build().len(16);
    // SAFETY: here and below, the buffers are never freed, and read only after a completion.
    let answer = unsafe {
        page.ask("RECV of at most 16 bytes, RECVSEND_BUNDLE", &mut ring, receive.clone())
    }?;
    let whole = answer.result == 10 && answer.buffer() == Some(0);
    page.saw("one completion: 10 bytes, from buffer 0 on", whole)?;
    let bytes = [buffers.bytes(0, 4), buffers.bytes(1, 4), buffers.bytes(2, 2)].concat();
    page.saw("the bytes lie in buffers 0, 1 and 2", bytes == b"0123456789")?;

    theirs.write_all(b"abcdefgh")?;
    // SAFETY: as above.
    let answer = unsafe { page.ask("8 more bytes, the same again", &mut ring, receive.clone()) }?;
    page.saw("only buffer 3 was left: 4 bytes", answer.result == 4 && answer.buffer() == Some(3))?;
    let why = "all four buffers are taken: give them back";
    // SAFETY: as above.
    unsafe { page.refused("the same again", &mut ring, receive, Errno::ENOBUFS, why) }
}
// ANCHOR_END: show
