//! FTRUNCATE: cut or extend a file.
//!
//! Since 6.9. Stands for ftruncate(2); liburing: `io_uring_prep_ftruncate`; crate:
//! `opcode::Ftruncate`.
//! Takes a descriptor or a slot, open for writing, and the new length. Returns 0. Always runs in a
//! worker. What is added reads as zeros and takes no space until it is written.

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::Path;

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, pipe};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_FTRUNCATE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = page.scratch()?.path("log");
    fs::write(&path, "0123456789")?;
    let file = File::options().write(true).open(&path)?;
    let ftruncate = |length| opcode::Ftruncate::new(Fd(file.as_raw_fd()), length).build();

    // SAFETY: the entry names no memory.
    unsafe {
        page.ask("FTRUNCATE to 4", &mut ring, ftruncate(4))?;
        page.saw("the file is \"0123\"", fs::read(&path)? == b"0123")?;
        page.ask("FTRUNCATE to 6", &mut ring, ftruncate(6))?;
        page.saw("two zeros follow", fs::read(&path)? == b"0123\0\0")?;
    }
    mistakes(page, &mut ring, &path)
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &mut IoUring, path: &Path) -> Result<()> {
    let (source, sink) = (File::open(path)?, File::options().write(true).open(path)?);
    let (_reader, pipe) = pipe()?;
    let ftruncate =
        |fd: &dyn AsRawFd, length| opcode::Ftruncate::new(Fd(fd.as_raw_fd()), length).build();
    for (asked, entry, errno, why) in [
        (
            "FTRUNCATE of a file open for reading",
            ftruncate(&source, 0),
            Errno::EINVAL,
            "it has to be open for writing",
        ),
        (
            "FTRUNCATE to -1",
            ftruncate(&sink, -1_i64 as u64),
            Errno::EINVAL,
            "a length is not negative",
        ),
        (
            "FTRUNCATE with the length in len",
            ftruncate(&sink, 0).len(4),
            Errno::EINVAL,
            "an entry made by hand: the length is in off, and len is 0",
        ),
        ("FTRUNCATE of a pipe", ftruncate(&pipe, 0), Errno::EINVAL, "a pipe has no length"),
    ] {
        // SAFETY: the entry names no memory.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
