//! FSYNC: flush a file to its disk.
//!
//! Since 5.1. Stands for fsync(2) and fdatasync(2); liburing: `io_uring_prep_fsync`; crate:
//! `opcode::Fsync`.
//! Takes a descriptor or a slot, `IORING_FSYNC_DATASYNC`, and a range (`off`, `len`; 0 and 0 mean
//! all). Returns 0.
//! Always runs in a worker: a file system has to wait for its disk.
//! Entries of one submit run in no given order, so an FSYNC can overtake the WRITE before it. It
//! has to wait for the completion, or be linked to it, or be marked with `IOSQE_IO_DRAIN`: then it
//! starts when everything before it has completed.

use std::os::fd::AsRawFd;

use atlas::{Ask, Entry, Page, Result, pipe};
use io_uring::squeue::Flags;
use io_uring::types::{Fd, FsyncFlags};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_OP_FSYNC", "IORING_FSYNC_DATASYNC", "IOSQE_IO_DRAIN"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let file = page.scratch()?.file("log")?;
    let fd = Fd(file.as_raw_fd());
    let write = |offset| opcode::Write::new(fd, b"done".as_ptr(), 4).offset(offset).build();
    let fsync = opcode::Fsync::new(fd).build();
    let data = opcode::Fsync::new(fd).flags(FsyncFlags::DATASYNC).build();
    let range = opcode::Fsync::new(fd).offset(4).len(4).build();

    // SAFETY: the kernel reads a constant.
    unsafe {
        let link = [
            Ask::new("WRITE, linked to", write(0).flags(Flags::IO_LINK)),
            Ask::new("FSYNC with DATASYNC", data),
        ];
        page.ask_all(&mut ring, link)?;
        let drain = [
            Ask::new("WRITE at 4", write(4)),
            Ask::new("WRITE at 8", write(8)),
            Ask::new("FSYNC with IO_DRAIN", fsync.flags(Flags::IO_DRAIN)),
        ];
        let answers = page.ask_all(&mut ring, drain)?;
        page.saw("the FSYNC completed last", answers[2].result == 0)?;
        page.ask("FSYNC of bytes 4 to 7", &mut ring, range)?;
    }
    page.saw("the file has 12 bytes", file.metadata()?.len() == 12)?;
    mistakes(page, &mut ring, fd)
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let (reader, _writer) = pipe()?;
    let full = opcode::Write::new(fd, b"done".as_ptr(), 4).offset(i64::MAX as u64).build();
    let fsync = |fd| opcode::Fsync::new(fd);
    // SAFETY: FSYNC names no memory, and the WRITE's text is a constant.
    unsafe {
        let why = "a pipe has no disk to flush to";
        page.refused(
            "FSYNC of a pipe",
            ring,
            fsync(Fd(reader.as_raw_fd())).build(),
            Errno::EINVAL,
            why,
        )?;
        let why = "the only flag is DATASYNC";
        let entry = fsync(fd).flags(FsyncFlags::from_bits_retain(2)).build();
        page.refused("FSYNC with flag 2", ring, entry, Errno::EINVAL, why)?;
        let why = "the link broke: the write before it failed";
        let link = [
            Ask::new("WRITE that fails, linked to", full.flags(Flags::IO_LINK))
                .refused(Errno::EINVAL, "the byte behind it would have no number"),
            Ask::new("FSYNC", fsync(fd).build()).refused(Errno::ECANCELED, why),
        ];
        page.ask_all(ring, link)?;
    }
    Ok(())
}
