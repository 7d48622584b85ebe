//! REGISTER_PBUF_RING, UNREGISTER_PBUF_RING: provide buffers by a ring of their own.
//!
//! Since 5.19. Takes a page-aligned ring of entries (address, length, number), a power of two of
//! them, and a group; liburing: `io_uring_register_buf_ring`, `io_uring_setup_buf_ring`; crate:
//! `Submitter::register_buf_ring_with_flags`.
//! A receive with `IOSQE_BUFFER_SELECT` takes a buffer of its group only when bytes are there; the
//! completion says which. The program gives it back by the ring's tail, without a call. With
//! `IOU_PBUF_RING_MMAP` (6.4) the kernel brings the ring's memory; with `IOU_PBUF_RING_INC` (6.12) a
//! buffer is used up bit by bit.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::ptr::{self, NonNull};

use atlas::{Entry, Page, Result};
use common::catalog::BUFFER_RING_FLAGS;
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use super::group::Group;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_PBUF_RING",
        "IORING_UNREGISTER_PBUF_RING",
        "IOU_PBUF_RING_MMAP",
        "IOU_PBUF_RING_INC",
        "IOSQE_BUFFER_SELECT",
        "IORING_CQE_F_BUFFER",
        "IORING_CQE_F_BUF_MORE",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (mut ring, mut group) = (IoUring::new(4)?, Group::new());
    let (ours, mut theirs) = UnixStream::pair()?;
    let name = "IORING_REGISTER_PBUF_RING";
    if page
        .call_since(name, "a ring of 4 buffers, group 1", group.register(&ring, 1, 4, 0))?
        .is_none()
    {
        return Ok(());
    }
    let receive = |number| -> squeue::Entry {
        let receive = opcode::Recv::new(types::Fd(ours.as_raw_fd()), ptr::null_mut(), 0);
        receive.buf_group(number).build().flags(squeue::Flags::BUFFER_SELECT)
    };
    theirs.write_all(b"bytes")?;
    let why = "the group has no buffer: none was put into its ring";
    // SAFETY: here and below, the buffers outlive the ring and are read only after a completion.
    unsafe { page.refused("RECV, group 1", &mut ring, receive(1), Errno::ENOBUFS, why) }?;
    group.provide(0x62);
    // SAFETY: as above.
    let answer = unsafe { page.ask("RECV, with buffer 0x62 in it", &mut ring, receive(1)) }?;
    page.saw("the completion names buffer 0x62", answer.buffer() == Some(0x62))?;
    page.saw("the bytes are in it", group.bytes(5) == b"bytes")?;

    let taken = group.register(&ring, 1, 4, 0);
    page.call_refused("group 1 again", taken, Errno::EEXIST, "the group has a ring")?;
    let odd = group.register(&ring, 2, 3, 0);
    page.call_refused("a ring of 3", odd, Errno::EINVAL, "the size must be a power of two")?;
    let why = "no such group";
    let without = ring.submitter().unregister_buf_ring(9);
    page.call_refused("unregister_buf_ring of group 9", without, Errno::ENOENT, why)?;
    page.call("unregister_buf_ring", ring.submitter().unregister_buf_ring(1))?;
    bit_by_bit(page, &mut ring, &mut group, &mut theirs, receive(3))?;
    kernels_memory(page, &ring)
}
// ANCHOR_END: show

/// INC: one buffer takes several receives, one behind the other.
fn bit_by_bit(
    page: &mut Page,
    ring: &mut IoUring,
    group: &mut Group,
    theirs: &mut UnixStream,
    receive: squeue::Entry,
) -> Result<()> {
    let incremental = BUFFER_RING_FLAGS.code("INC") as u16;
    let registered = group.register(ring, 3, 4, incremental);
    if page.call_since("IOU_PBUF_RING_INC", "group 3, PBUF_RING_INC", registered)?.is_none() {
        return Ok(());
    }
    group.restart();
    group.provide(7);
    for bytes in ["first", "second"] {
        theirs.write_all(bytes.as_bytes())?;
        // SAFETY: as in `show`.
        let answer = unsafe { page.ask(&format!("RECV of {bytes:?}"), ring, receive.clone()) }?;
        page.saw(
            "it is buffer 7, and has room",
            answer.buffer() == Some(7) && buf_more(answer.flags),
        )?;
    }
    page.saw("the bytes lie one behind the other", group.bytes(11) == b"firstsecond")?;
    ring.submitter().unregister_buf_ring(3)?;
    Ok(())
}

fn buf_more(flags: u32) -> bool {
    flags & common::catalog::COMPLETION_FLAGS.code("BUF_MORE") != 0
}

/// MMAP: the ring of buffers is mapped from the ring, at an offset that names the group.
fn kernels_memory(page: &mut Page, ring: &IoUring) -> Result<()> {
    let by_mmap = BUFFER_RING_FLAGS.code("MMAP") as u16;
    // SAFETY: no memory is given.
    let registered = unsafe { ring.submitter().register_buf_ring_with_flags(0, 4, 5, by_mmap) };
    if page.call_since("IOU_PBUF_RING_MMAP", "group 5, PBUF_RING_MMAP", registered)?.is_none() {
        return Ok(());
    }
    // `IORING_OFF_PBUF_RING`, and the group from bit 16 on (`IORING_OFF_PBUF_SHIFT`).
    let map = |group: i64| {
        let (length, prot) = (4096.try_into()?, ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
        // SAFETY: new memory, wherever there is room.
        let mapped: Result<NonNull<_>, Errno> = unsafe {
            mmap(None, length, prot, MapFlags::MAP_SHARED, ring_fd(ring), 0x8000_0000 | group << 16)
        };
        Ok::<_, anyhow::Error>(mapped)
    };
    let memory = page.call("mmap(2) of group 5", map(5)?)?;
    // SAFETY: as above.
    page.saw("it begins as zeros", unsafe { memory.cast::<[u8; 64]>().read() } == [0; 64])?;
    // SAFETY: ours, and nobody uses it.
    unsafe { munmap(memory, 4096) }?;
    page.call_refused("mmap(2) of group 6", map(6)?, Errno::ENOMEM, "no such group")
}

fn ring_fd(ring: &IoUring) -> std::os::fd::BorrowedFd<'_> {
    // SAFETY: the descriptor is open as long as the ring.
    unsafe { std::os::fd::BorrowedFd::borrow_raw(ring.as_raw_fd()) }
}
