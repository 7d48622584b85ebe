//! SYNC_FILE_RANGE: flush a part of a file.
//!
//! Since 5.2. Stands for sync_file_range(2); liburing: `io_uring_prep_sync_file_range`; crate:
//! `opcode::SyncFileRange`.
//! Takes a descriptor or a slot, a range (`off`, `len`; length 0 means to the end), and what to do:
//! wait for the writing that is under way (`WAIT_BEFORE`), begin to write (`WRITE`), wait for that
//! (`WAIT_AFTER`). Returns 0. Always runs in a worker.
//! It is not an FSYNC: it flushes no metadata (so a new file may be lost whole) and no write cache
//! of the disk. It serves to spread the work that a later FSYNC would have at once.

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use atlas::{Entry, Page, Result, pipe};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_SYNC_FILE_RANGE",
        "SYNC_FILE_RANGE_WAIT_BEFORE",
        "SYNC_FILE_RANGE_WRITE",
        "SYNC_FILE_RANGE_WAIT_AFTER",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let file = page.scratch()?.file("log")?;
    let fd = Fd(file.as_raw_fd());
    file.write_all_at(&[b'x'; 4096], 8192)?;
    let range = |flags| opcode::SyncFileRange::new(fd, 4096).offset(8192).flags(flags).build();
    let begin = range(libc::SYNC_FILE_RANGE_WRITE);
    let all = libc::SYNC_FILE_RANGE_WAIT_BEFORE
        | libc::SYNC_FILE_RANGE_WRITE
        | libc::SYNC_FILE_RANGE_WAIT_AFTER;

    // SAFETY: the entry names no memory.
    unsafe {
        page.ask("SYNC_FILE_RANGE with WRITE", &mut ring, begin)?;
        page.ask("SYNC_FILE_RANGE with all three flags", &mut ring, range(all))?;
    }
    mistakes(page, &mut ring, fd)
}
// ANCHOR_END: show

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let (reader, _writer) = pipe()?;
    let sync = |fd| opcode::SyncFileRange::new(fd, 0);
    for (asked, entry, errno, why) in [
        (
            "SYNC_FILE_RANGE of a pipe",
            sync(Fd(reader.as_raw_fd())).flags(libc::SYNC_FILE_RANGE_WRITE),
            Errno::ESPIPE,
            "a pipe has no ranges",
        ),
        (
            "SYNC_FILE_RANGE with flag 8",
            sync(fd).flags(8),
            Errno::EINVAL,
            "there are three flags: 1, 2 and 4",
        ),
        (
            "SYNC_FILE_RANGE at -1",
            sync(fd).offset(-1_i64 as u64),
            Errno::EINVAL,
            "here -1 is not the file's position",
        ),
    ] {
        // SAFETY: the entry names no memory.
        unsafe { page.refused(asked, ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
