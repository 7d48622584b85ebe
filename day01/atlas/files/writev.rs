//! WRITEV: write from several buffers.
//!
//! Since 5.1. Stands for pwritev2(2); liburing: `io_uring_prep_writev2`; crate: `opcode::Writev`.
//! Takes a descriptor or a slot, a list of buffers, an offset as WRITE does, and `RWF_*` flags. The
//! kernel copies the list at the submit (`IORING_FEAT_SUBMIT_STABLE`, 5.5); the buffers must stay.
//! Returns how many bytes were written in all. After a short one the program takes what was
//! written off the front of its list, in the middle of a buffer maybe, and asks again.

use std::fs::{self, File};
use std::io::{IoSlice, Read};
use std::os::fd::AsRawFd;
use std::ptr;

use atlas::{Entry, Page, Result, pipe};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, fcntl};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_WRITEV"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let scratch = page.scratch()?;
    let file = scratch.file("message")?;
    let fd = Fd(file.as_raw_fd());
    // `IoSlice` is the kernel's `struct iovec`, with a lifetime.
    let message = [IoSlice::new(b"head"), IoSlice::new(b"body")];
    let write = |fd| opcode::Writev::new(fd, message.as_ptr().cast(), 2);

    // SAFETY: the list and its two buffers, which the kernel reads, outlive these calls.
    unsafe {
        page.ask("WRITEV of \"head\" and \"body\"", &mut ring, write(fd).build())?;
        page.saw("the file is \"headbody\"", fs::read(scratch.path("message"))? == b"headbody")?;
        page.ask("WRITEV at 8 of the same", &mut ring, write(fd).offset(8).build())?;
    }
    let twice = fs::read(scratch.path("message"))? == b"headbody".repeat(2);
    page.saw("the file is \"headbodyheadbody\"", twice)?;
    short_write(page, &mut ring)?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

/// A pipe takes what it has room for. The program must write the rest.
fn short_write(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (mut reader, writer) = pipe()?;
    let room = fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096))? as usize;
    // Before 6.4 a worker writes to the pipe, and waits until all is written, but for this.
    fcntl(&writer, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
    let bytes = vec![b'x'; room * 3 / 4];
    let mut message = [IoSlice::new(&bytes), IoSlice::new(&bytes)];
    let mut left = &mut message[..];
    let asked = ["WRITEV of 1.5 times what the pipe holds", "WRITEV of the rest"];
    for (asked, expected) in asked.into_iter().zip([room, room / 2]) {
        let count = left.len() as u32;
        let entry = opcode::Writev::new(Fd(writer.as_raw_fd()), left.as_ptr().cast(), count);
        // SAFETY: the list, and what it points at, outlive the call.
        let written = unsafe { page.ask(asked, ring, entry.build()) }?.result as usize;
        page.saw(&format!("{expected} bytes were written"), written == expected)?;
        reader.read_exact(&mut vec![0; written])?;
        IoSlice::advance_slices(&mut left, written);
    }
    page.saw("nothing is left to write", left.is_empty())
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let many = vec![IoSlice::new(b"x"); 1025];
    let source = File::open("/dev/null")?;
    let sink = File::options().write(true).open("/dev/null")?;
    let (source, sink) = (Fd(source.as_raw_fd()), Fd(sink.as_raw_fd()));
    let writev = |fd, list: *const IoSlice<'_>, count| opcode::Writev::new(fd, list.cast(), count);
    let nowhere = ptr::without_provenance(8);
    for (asked, entry, errno, why) in [
        (
            "WRITEV of 1025 buffers",
            writev(sink, many.as_ptr(), 1025),
            Errno::EINVAL,
            "a list has 1024 buffers at most (IOV_MAX)",
        ),
        (
            "WRITEV with its list at address 8",
            writev(sink, nowhere, 1),
            Errno::EFAULT,
            "the program has no memory there",
        ),
        (
            "WRITEV to a file open for reading",
            writev(source, many.as_ptr(), 1),
            Errno::EBADF,
            "O_RDWR opens it for both",
        ),
    ] {
        // SAFETY: the list outlives the call; at address 8 there is nothing to read.
        unsafe { page.refused(asked, ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
