//! READV: read into several buffers.
//!
//! Since 5.1. Stands for preadv2(2); liburing: `io_uring_prep_readv2`; crate: `opcode::Readv`.
//! Takes a descriptor or a slot, a list of buffers, an offset as READ does, and `RWF_*` flags. The
//! kernel copies the list at the submit (`IORING_FEAT_SUBMIT_STABLE`, 5.5); the buffers must stay.
//! Returns how many bytes came in all. Buffers are filled one after the other, so a short read
//! leaves the last ones alone.
//! Only kernels before 5.6, which lack READ, need it for a single buffer.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::ptr;

use atlas::{Entry, Page, Result, pipe};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_READV"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = page.scratch()?.path("message");
    fs::write(&path, "headbody")?;
    let file = File::open(&path)?;
    let fd = Fd(file.as_raw_fd());
    let (mut head, mut body) = ([0; 4], [0; 16]);
    let buffers = [buffer(&mut head), buffer(&mut body)];
    let read = opcode::Readv::new(fd, buffers.as_ptr(), 2).build();
    let read_body = opcode::Readv::new(fd, buffers.as_ptr(), 2).offset(4).build();

    // SAFETY: the list, and the two buffers that the kernel writes to, outlive these calls.
    unsafe {
        page.ask("READV into buffers of 4 and 16 bytes", &mut ring, read)?;
        page.saw("the first has \"head\"", head == *b"head")?;
        page.saw("the second has \"body\" and room", body.starts_with(b"body\0"))?;
        page.ask("READV at 4 into the same", &mut ring, read_body)?;
        page.saw("the first has \"body\", the second is as it was", head == body[..4])?;
    }
    mistakes(page, &mut ring, fd)
}
// ANCHOR_END: show

fn buffer(bytes: &mut [u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: bytes.len() }
}

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    /// `UIO_MAXIOV` of `linux/uio.h`.
    const MOST: usize = 1024;
    let mut byte = [0];
    let many = vec![buffer(&mut byte); MOST + 1];
    let huge = libc::iovec { iov_base: byte.as_mut_ptr().cast(), iov_len: usize::MAX };
    let (_reader, writer) = pipe()?;
    let readv = |fd, list: *const libc::iovec, count| opcode::Readv::new(fd, list, count).build();
    for (asked, entry, errno, why) in [
        (
            "READV into 1025 buffers",
            readv(fd, many.as_ptr(), many.len() as u32),
            Errno::EINVAL,
            "a list has 1024 buffers at most (IOV_MAX)",
        ),
        (
            "READV into a buffer of 2^64 - 1 bytes",
            readv(fd, &huge, 1),
            Errno::EINVAL,
            "lengths are signed: 2^63 - 1 is the largest",
        ),
        (
            "READV with its list at address 8",
            readv(fd, ptr::without_provenance(8), 1),
            Errno::EFAULT,
            "the program has no memory there",
        ),
        (
            "READV of a pipe's end for writing",
            readv(Fd(writer.as_raw_fd()), many.as_ptr(), 1),
            Errno::EBADF,
            "pipe(2) returns the end for reading first",
        ),
    ] {
        // SAFETY: the kernel refuses each before it writes to a buffer.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
