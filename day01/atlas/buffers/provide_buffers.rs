//! PROVIDE_BUFFERS: give the kernel buffers to pick from.
//!
//! Since 5.7. Stands for no call; liburing: `io_uring_prep_provide_buffers`; crate:
//! `opcode::ProvideBuffers`.
//! Takes memory for a number of buffers of one length, their group, and the id of the first.
//! Returns 0, or on early kernels how many there are. A read or receive with
//! `IOSQE_BUFFER_SELECT` names the group and no memory: the kernel takes a buffer once bytes are
//! there, and the completion names it (`IORING_CQE_F_BUFFER`, the id in the upper 16 bits of its
//! flags). Then it is the program's, until it is provided again. A ring of buffers
//! (`IORING_REGISTER_PBUF_RING`, 5.19) does the same without an entry for each.

use std::io::Write;
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;
use std::ptr::{null_mut, without_provenance_mut};

use anyhow::Context;
use atlas::raw::Fields;
use atlas::{Entry, Page, Result};
use common::memory::forever;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_PROVIDE_BUFFERS", "IOSQE_BUFFER_SELECT", "IORING_CQE_F_BUFFER"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    // Two buffers of 8 bytes. Never freed, and never touched but by copies.
    let memory = forever([0_u8; 16]).as_mut_ptr();
    let provide = |len, count, id| opcode::ProvideBuffers::new(memory, len, count, 7, id).build();
    let asked = "PROVIDE_BUFFERS 40 and 41 of group 7, of 8 bytes";
    // SAFETY: here and below, the memory is never freed.
    unsafe { page.ask(asked, &mut ring, provide(8, 2, 40)) }?;
    // SAFETY: the entry points at no memory.
    let waiting = unsafe { page.start("RECV, BUFFER_SELECT", &mut ring, receive(&ours, 8)) };
    peer.write_all(b"hello")?;
    let answer = page.answer(&waiting, &mut ring)?;
    let id = answer.buffer().context("a completion with a buffer")?;
    page.saw("the completion names one of the two", (40..42).contains(&id))?;
    // SAFETY: this buffer is ours now, of 8 bytes, and the kernel has written the first 5.
    let bytes = unsafe { memory.add(usize::from(id - 40) * 8).cast::<[u8; 5]>().read() };
    page.saw("the peer's bytes are in it", bytes == *b"hello")?;

    peer.write_all(b"9 bytes, and more")?;
    // SAFETY: as above.
    let answer = unsafe { page.ask("RECV of up to 64", &mut ring, receive(&ours, 64)) }?;
    page.saw("it got what fits into the other buffer", answer.result == 8)?;
    let why = "both buffers are taken: provide them again";
    // SAFETY: as above.
    unsafe { page.refused("RECV", &mut ring, receive(&ours, 8), Errno::ENOBUFS, why) }?;

    let write = opcode::Write::new(Fd(peer.as_raw_fd()), null_mut(), 8).build();
    let high = provide(8, 1, 0).off(65536);
    let kernel_memory = without_provenance_mut(1 << 63);
    let not_ours = opcode::ProvideBuffers::new(kernel_memory, 8, 1, 7, 40).build();
    for (asked, entry, errno, why) in [
        ("PROVIDE_BUFFERS, 0 of them", provide(8, 0, 40), Errno::E2BIG, "at least 1"),
        ("PROVIDE_BUFFERS from id 65536", high, Errno::E2BIG, "an id has 16 bits"),
        (
            "PROVIDE_BUFFERS in the kernel's memory",
            not_ours,
            Errno::EFAULT,
            "it is not the program's",
        ),
        (
            "WRITE, BUFFER_SELECT",
            write.flags(Flags::BUFFER_SELECT),
            Errno::EOPNOTSUPP,
            "it has nothing to put into a buffer",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

fn receive(socket: &impl AsFd, len: u32) -> squeue::Entry {
    let fd = Fd(socket.as_fd().as_raw_fd());
    opcode::Recv::new(fd, null_mut(), len).buf_group(7).build().flags(Flags::BUFFER_SELECT)
}
