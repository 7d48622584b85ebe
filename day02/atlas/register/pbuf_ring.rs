//! REGISTER_PBUF_RING, UNREGISTER_PBUF_RING: provide buffers through a ring of their own.
//!
//! Since 5.19. Takes a page-aligned ring of entries (address, length, number), a power of two of
//! them, and a group; liburing: `io_uring_register_buf_ring`, `io_uring_setup_buf_ring`; crate:
//! `Submitter::register_buf_ring_with_flags`.
//! A receive with `IOSQE_BUFFER_SELECT` takes a buffer of its group only when bytes are there; the
//! completion says which. The program gives it back by the ring's tail, without a call. With
//! `IOU_PBUF_RING_MMAP` (6.4) the kernel brings the ring's memory; with `IOU_PBUF_RING_INC` (6.12)
//! a buffer is used up bit by bit.

use std::io::Write;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU16, Ordering};

use atlas::{BufferRing, Entry, Page, Result};
use common::catalog::{BUFFER_RING_FLAGS, COMPLETION_FLAGS, MMAP_OFFSETS};
use io_uring::types::{BufRingEntry, Fd};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_PBUF_RING",
        "IORING_UNREGISTER_PBUF_RING",
        "IOU_PBUF_RING_MMAP",
        "IOU_PBUF_RING_INC",
        "IORING_OFF_PBUF_RING",
        "IOSQE_BUFFER_SELECT",
        "IORING_CQE_F_BUFFER",
        "IORING_CQE_F_BUF_MORE",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (mut ring, (ours, mut theirs)) = (IoUring::new(4)?, UnixStream::pair()?);
    let (name, asked) = ("IORING_REGISTER_PBUF_RING", "a ring of 4 buffers, group 1");
    let registered = BufferRing::register(&ring, 1, 4, 64, 0);
    let Some(mut buffers) = page.call_since(name, asked, registered)? else { return Ok(()) };
    theirs.write_all(b"bytes")?;
    let why = "the group has no buffer: none was put into its ring";
    let receive = receive(&ours, 1);
    // SAFETY: here and below, a receive of a group's buffer names no memory; the group's is never
    // freed.
    unsafe { page.refused("RECV, group 1", &mut ring, receive.clone(), Errno::ENOBUFS, why) }?;
    buffers.provide(2);
    // SAFETY: as above.
    let answer = unsafe { page.ask("RECV, buffer 2 provided", &mut ring, receive) }?;
    page.saw("the completion names buffer 2", answer.buffer() == Some(2))?;
    page.saw("the bytes are in it", buffers.received(&answer) == b"bytes")?;

    let taken = BufferRing::register(&ring, 1, 4, 64, 0);
    page.call_refused("group 1 again", taken, Errno::EEXIST, "the group has a ring")?;
    // SAFETY: the call is refused: a ring of three entries cannot be.
    let odd = unsafe { ring.submitter().register_buf_ring_with_flags(4096, 3, 2, 0) };
    page.call_refused("a ring of 3", odd, Errno::EINVAL, "the size must be a power of two")?;
    let without = ring.submitter().unregister_buf_ring(9);
    let (asked, errnos) = ("unregister_buf_ring of group 9", &[Errno::ENOENT, Errno::EINVAL]);
    page.call_refused_by_one_of(asked, without, errnos, "the group has no ring")?;
    page.call("unregister_buf_ring", ring.submitter().unregister_buf_ring(1))?;
    bit_by_bit(page, &mut ring, &ours, &mut theirs)?;
    memory_of_the_kernel(page, &mut ring, &ours, &mut theirs)
}
// ANCHOR_END: show

/// A receive into a buffer of this group.
fn receive(socket: &UnixStream, group: u16) -> squeue::Entry {
    let receive = opcode::Recv::new(Fd(socket.as_raw_fd()), ptr::null_mut(), 0).buf_group(group);
    receive.build().flags(squeue::Flags::BUFFER_SELECT)
}

/// INC: one buffer takes several receives, one behind the other.
fn bit_by_bit(
    page: &mut Page,
    ring: &mut IoUring,
    ours: &UnixStream,
    theirs: &mut UnixStream,
) -> Result<()> {
    let registered = BufferRing::register(ring, 3, 4, 64, BUFFER_RING_FLAGS.code("INC") as u16);
    let (name, asked) = ("IOU_PBUF_RING_INC", "group 3, PBUF_RING_INC");
    let Some(mut buffers) = page.call_since(name, asked, registered)? else { return Ok(()) };
    buffers.provide(0);
    for bytes in ["first", "second"] {
        theirs.write_all(bytes.as_bytes())?;
        // SAFETY: as in `show`.
        let answer = unsafe { page.ask(&format!("RECV of {bytes:?}"), ring, receive(ours, 3)) }?;
        let more = answer.flags & COMPLETION_FLAGS.code("BUF_MORE") != 0;
        page.saw("it is buffer 0, and that has room", answer.buffer() == Some(0) && more)?;
    }
    page.saw("the bytes lie one behind the other", buffers.bytes(0, 11) == b"firstsecond")
}

/// MMAP: the ring of buffers is mapped from the ring, at an offset that names the group.
fn memory_of_the_kernel(
    page: &mut Page,
    ring: &mut IoUring,
    ours: &UnixStream,
    theirs: &mut UnixStream,
) -> Result<()> {
    let by_mmap = BUFFER_RING_FLAGS.code("MMAP") as u16;
    // SAFETY: no memory is given.
    let registered = unsafe { ring.submitter().register_buf_ring_with_flags(0, 4, 5, by_mmap) };
    if page.call_since("IOU_PBUF_RING_MMAP", "group 5, PBUF_RING_MMAP", registered)?.is_none() {
        return Ok(());
    }
    let entries = page.call("mmap(2) of group 5", map(ring, 5))?.cast::<BufRingEntry>();
    let mut buffer = [0_u8; 8];
    // SAFETY: the first entry is this program's until the tail is behind it. `buffer` is looked at
    // when the receive has completed.
    let answer = unsafe {
        let first = &mut *entries.as_ptr();
        first.set_addr(buffer.as_mut_ptr() as u64);
        first.set_len(8);
        first.set_bid(9);
        let tail = BufRingEntry::tail(entries.as_ptr()).cast_mut();
        AtomicU16::from_ptr(tail).store(1, Ordering::Release);
        theirs.write_all(b"bytes")?;
        page.ask("RECV, buffer 9 provided there", ring, receive(ours, 5))
    }?;
    page.saw(
        "the bytes came into buffer 9",
        answer.buffer() == Some(9) && buffer.starts_with(b"bytes"),
    )?;
    ring.submitter().unregister_buf_ring(5)?;
    // SAFETY: ours, and no group uses it any more.
    unsafe { munmap(entries.cast(), 4096) }?;
    let errnos = &[Errno::ENOMEM, Errno::EINVAL];
    page.call_refused_by_one_of("mmap(2) of group 6", map(ring, 6), errnos, "no such group")
}

/// Maps the ring of buffers of a group: the group's number begins at bit 16 of the offset
/// (`IORING_OFF_PBUF_SHIFT`).
fn map(ring: &IoUring, group: u16) -> Result<NonNull<std::ffi::c_void>, Errno> {
    let (length, prot) =
        (4096.try_into().expect("a page"), ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
    let offset = i64::from(MMAP_OFFSETS.code("PBUF_RING")) | i64::from(group) << 16;
    // SAFETY: the descriptor is the ring's; new memory, wherever there is room.
    unsafe {
        let fd = BorrowedFd::borrow_raw(ring.as_raw_fd());
        mmap(None, length, prot, MapFlags::MAP_SHARED, fd, offset)
    }
}
