//! SEND and RECV, BUNDLE: several provided buffers with one completion.
//!
//! Since 6.10. Stands for sendmsg(2) and recvmsg(2) with a list of buffers; liburing:
//! `io_uring_prep_send_bundle`, `IORING_RECVSEND_BUNDLE`; crate: `opcode::SendBundle`,
//! `opcode::RecvBundle`, `opcode::RecvMultiBundle`.
//! Takes a socket or a slot, and a group of provided buffers, which must be a buffer ring. Returns
//! how many bytes it sent or received, and the first buffer: the next ones follow in the order in
//! which they were provided. The first receive on a socket may take one buffer only.

use std::io::{Read, Write};
use std::os::fd::AsRawFd;

use atlas::{BufferRing, Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::tcp_pair;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_RECVSEND_BUNDLE", "IORING_CQE_F_BUFFER", "IOSQE_BUFFER_SELECT"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = tcp_pair()?;
    let fd = Fd(ours.as_raw_fd());
    let asked = "register groups 1 and 2: 4 buffers of 8 bytes each";
    let groups = BufferRing::register(&ring, 1, 4, 8, 0)
        .and_then(|sent| Ok((sent, BufferRing::register(&ring, 2, 4, 8, 0)?)));
    let name = "IORING_REGISTER_PBUF_RING";
    let Some((mut sent, mut received)) = page.call_since(name, asked, groups)? else {
        return Ok(());
    };
    for (id, bytes) in [(2, "these "), (0, "three "), (1, "buffers")] {
        sent.provide_bytes(id, bytes.as_bytes());
    }
    let send = || opcode::SendBundle::new(fd, 1).build();
    // SAFETY: here and below, the entry points at no memory, and that of the groups is never freed.
    let answer =
        unsafe { page.ask_since("IORING_RECVSEND_BUNDLE", "SEND, BUNDLE", &mut ring, send()) }?;
    let Some(answer) = answer else { return Ok(()) };
    let mut bytes = [0; 19];
    peer.read_exact(&mut bytes)?;
    page.saw("the peer has all three, in the order of the ring", bytes == *b"these three buffers")?;
    page.saw("the completion names the first", answer.buffer() == Some(2))?;
    let why = "the kernel has sent what it had: provide more";
    // SAFETY: as above.
    unsafe { page.refused("SEND, BUNDLE, again", &mut ring, send(), Errno::ENOBUFS, why) }?;

    (0..4).for_each(|id| received.provide(id));
    peer.write_all(b"23 bytes for 3 buffers.")?;
    let mut parts = Vec::new();
    while parts.iter().sum::<i32>() < 23 {
        let receive = opcode::RecvBundle::new(fd, 2).build();
        // SAFETY: as above.
        parts.push(unsafe { page.ask("RECV, BUNDLE", &mut ring, receive) }?.result);
    }
    page.saw("one completion filled several buffers", parts.iter().any(|part| *part > 8))?;
    let all = [received.bytes(0, 8), received.bytes(1, 8), received.bytes(2, 7)].concat();
    page.saw("the peer's bytes are in buffers 0, 1 and 2", all == b"23 bytes for 3 buffers.")
}
// ANCHOR_END: show
