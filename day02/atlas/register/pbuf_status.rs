//! REGISTER_PBUF_STATUS: ask how far the kernel is in a ring of buffers.
//!
//! Since 6.8. Takes a group (`struct io_uring_buf_status`) and gives back the head: how many
//! buffers the kernel has taken since the group was registered. liburing: `io_uring_buf_ring_head`,
//! `io_uring_buf_ring_available`; crate: none.
//! Tail minus head are the buffers that are left.

use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr;

use atlas::{BufferRing, Entry, Page, Result, raw};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_PBUF_STATUS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (name, asked) = ("IORING_REGISTER_PBUF_RING", "a ring of 4 buffers, group 1");
    let registered = BufferRing::register(&ring, 1, 4, 64, 0);
    let Some(mut buffers) = page.call_since(name, asked, registered)? else { return Ok(()) };
    let name = "IORING_REGISTER_PBUF_STATUS";
    let Some(head) = page.call_since(name, "pbuf_status of group 1", head(&ring, 1))? else {
        return Ok(());
    };
    page.saw("the head is 0", head == 0)?;
    let (ours, mut theirs) = UnixStream::pair()?;
    for taken in 1..=2 {
        buffers.provide(taken);
        theirs.write_all(b"bytes")?;
        let receive = opcode::Recv::new(types::Fd(ours.as_raw_fd()), ptr::null_mut(), 0);
        let receive = receive.buf_group(1).build().flags(squeue::Flags::BUFFER_SELECT);
        // SAFETY: the buffer is never freed, and is not read here.
        unsafe { page.ask("RECV, which takes the buffer", &mut ring, receive) }?;
        let head = page.call("pbuf_status of group 1", self::head(&ring, 1))?;
        page.saw(&format!("the head is {taken}"), head == u32::from(taken))?;
    }
    let why = "no such group";
    page.call_refused("pbuf_status of group 9", self::head(&ring, 9), Errno::ENOENT, why)
}
// ANCHOR_END: show

/// `io_uring_buf_ring_head`, which the crate does not have.
fn head(ring: &IoUring, group: u32) -> io::Result<u32> {
    // `struct io_uring_buf_status`: the group, the head, and eight reserved numbers.
    let mut status = [group, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let call = call("REGISTER_PBUF_STATUS");
    // SAFETY: the call reads and writes these 40 bytes.
    unsafe { raw::register(ring.as_raw_fd(), call, status.as_mut_ptr(), 1) }?;
    Ok(status[1])
}
