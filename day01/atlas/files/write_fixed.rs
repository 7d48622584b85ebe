//! WRITE_FIXED: write from a registered buffer.
//!
//! Since 5.1. Stands for WRITE; liburing: `io_uring_prep_write_fixed`; crate:
//! `opcode::WriteFixed`.
//! Takes what WRITE takes, and the number of a registered buffer that the memory lies in: the whole
//! of it or a part. Returns how many bytes were written.
//! The kernel goes by pages that it pinned when the buffer was registered. Memory that is mapped
//! at the same address later is not registered: the old pages are written.

use std::fs::{self, File};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_WRITE_FIXED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let scratch = page.scratch()?;
    let file = scratch.file("log")?;
    let fd = Fd(file.as_raw_fd());
    // Before the ring, and so dropped after it.
    let bytes = *b"not this, but this";
    let memory = bytes.as_ptr();
    let mut ring = IoUring::new(4)?;
    let write =
        |at, length| opcode::WriteFixed::new(fd, memory.wrapping_add(at), length, 0).build();
    let none = "no buffer is registered";
    // SAFETY: the kernel refuses to read.
    unsafe {
        page.refused("WRITE_FIXED from buffer 0", &mut ring, write(0, 4), Errno::EFAULT, none)
    }?;

    let buffer = libc::iovec { iov_base: memory.cast_mut().cast(), iov_len: bytes.len() };
    // SAFETY: `bytes` outlives the ring.
    let registered = unsafe { ring.submitter().register_buffers(&[buffer]) };
    page.call("IORING_REGISTER_BUFFERS of 18 bytes", registered)?;
    // SAFETY: the kernel reads `bytes`, which outlive the call.
    unsafe { page.ask("WRITE_FIXED of the last 4 bytes", &mut ring, write(14, 4)) }?;
    page.saw("the file is \"this\"", fs::read(scratch.path("log"))? == b"this")?;

    let other = *b"this";
    let elsewhere = opcode::WriteFixed::new(fd, other.as_ptr(), 4, 0).build();
    let why = "that memory is not in the registered buffer";
    // SAFETY: the kernel refuses to read.
    unsafe {
        page.refused("WRITE_FIXED from other memory", &mut ring, elsewhere, Errno::EFAULT, why)
    }?;
    mapped_since(page, &file)
}
// ANCHOR_END: show

/// The kernel uses the pages that it pinned, not what is at their address now.
fn mapped_since(page: &mut Page, file: &File) -> Result<()> {
    /// Whole pages on every machine.
    const LENGTH: NonZeroUsize = NonZeroUsize::new(64 << 10).expect("not 0");
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    let mut ring = IoUring::new(4)?;
    // SAFETY: the mapping is new, and this function's alone. It is mapped a second time at its own
    // address, and unmapped, while nothing refers to it; the kernel has the old pages by then.
    unsafe {
        let memory = mmap_anonymous(None, LENGTH, access, MapFlags::MAP_PRIVATE)?;
        memory.cast::<[u8; 4]>().write(*b"old!");
        let buffer = libc::iovec { iov_base: memory.as_ptr(), iov_len: 4 };
        ring.submitter().register_buffers(&[buffer])?;

        let there = NonZeroUsize::new(memory.addr().get());
        mmap_anonymous(there, LENGTH, access, MapFlags::MAP_PRIVATE | MapFlags::MAP_FIXED)?;
        memory.cast::<[u8; 4]>().write(*b"new!");
        let write = opcode::WriteFixed::new(Fd(file.as_raw_fd()), memory.as_ptr().cast(), 4, 0);
        page.ask("WRITE_FIXED of \"new!\", mapped there since", &mut ring, write.build())?;
        munmap(memory, LENGTH.get())?;
    }
    let mut written = [0; 4];
    file.read_exact_at(&mut written, 0)?;
    page.saw("\"old!\" was written: the pages that were registered", written == *b"old!")
}
