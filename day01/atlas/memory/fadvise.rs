//! FADVISE: say how a file will be read.
//!
//! Since 5.6. Stands for posix_fadvise(2); liburing: `io_uring_prep_fadvise`; crate:
//! `opcode::Fadvise`.
//! Takes a descriptor or a slot, an offset, a length (0: to the end) and an advice. Returns 0 for
//! any known advice, even if it has no effect: files in memory (tmpfs) ignore it. `sqe->len` has 32
//! bits, and the builder silently cuts a longer length. For newer kernels liburing has
//! `io_uring_prep_fadvise64`: the length goes into `sqe->addr`.
//! WILLNEED, DONTNEED and NOREUSE run in a worker thread, the others at once.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use atlas::{Entry, Page, Result, Where, pipe};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::statfs::{FsType, OVERLAYFS_SUPER_MAGIC, TMPFS_MAGIC, fstatfs};

use super::{Mapping, page_size};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_FADVISE",
        "POSIX_FADV_NORMAL",
        "POSIX_FADV_RANDOM",
        "POSIX_FADV_SEQUENTIAL",
        "POSIX_FADV_WILLNEED",
        "POSIX_FADV_DONTNEED",
        "POSIX_FADV_NOREUSE",
    ],
    show,
};

/// Pages of the file.
const PAGES: usize = 16;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut file = page.scratch()?.file("data")?;
    file.write_all(&vec![7; PAGES * page_size()])?;
    // The mapping is never touched: DONTNEED leaves pages alone that are in a page table.
    let cached = Mapping::new(PAGES, libc::PROT_READ, libc::MAP_SHARED, file.as_raw_fd())?;
    let fd = Fd(file.as_raw_fd());
    let advise = |advice, len| opcode::Fadvise::new(fd, len, advice).build();
    let dont_need = advise(libc::POSIX_FADV_DONTNEED, 0);
    // SAFETY: here and below, a FADVISE points at no memory.
    unsafe { page.ask("DONTNEED of what was just written", &mut ring, dont_need.clone()) }?;
    page.note("pages still in memory: those not yet on the disk stay", cached.resident()?);
    file.sync_all()?;
    // SAFETY: as above.
    unsafe { page.ask("DONTNEED after fsync(2)", &mut ring, dont_need) }?;
    let drops = cached.resident()? == 0;
    if !drops && in_memory(&file)? {
        let why = "this file system keeps its files in memory and drops nothing";
        page.cannot("the effect of the advice", why, Where::OtherMachine)?;
    } else {
        page.saw("mincore(2) finds none of its pages in memory", drops)?;
        // SAFETY: as above.
        unsafe { page.ask("WILLNEED", &mut ring, advise(libc::POSIX_FADV_WILLNEED, 0)) }?;
        page.saw("all are back, without a read", all_come(cached)?)?;
        four_gibibytes(page, &mut ring, fd, cached)?;
    }
    ring.submitter().register_files(&[file.as_raw_fd()])?;
    for (asked, advice) in [
        ("RANDOM, for a slot", libc::POSIX_FADV_RANDOM),
        ("SEQUENTIAL, for a slot", libc::POSIX_FADV_SEQUENTIAL),
        ("NOREUSE, for a slot", libc::POSIX_FADV_NOREUSE),
        ("NORMAL, for a slot", libc::POSIX_FADV_NORMAL),
    ] {
        let entry = opcode::Fadvise::new(Fixed(0), 0, advice).build();
        // SAFETY: as above.
        unsafe { page.ask(asked, &mut ring, entry) }?;
    }
    mistakes(page, &mut ring, fd)
}
// ANCHOR_END: show

/// Lengths above 32 bits do not fit into the entry.
fn four_gibibytes(page: &mut Page, ring: &mut IoUring, fd: Fd, cached: Mapping) -> Result<()> {
    let len = (1 << 32) + page_size() as i64;
    let entry = opcode::Fadvise::new(fd, len, libc::POSIX_FADV_DONTNEED).build();
    // SAFETY: a FADVISE points at no memory.
    unsafe { page.ask("DONTNEED of 4 GiB and a page", ring, entry) }?;
    let left = cached.resident()?;
    page.saw("the builder left one page of it: all others are still there", left >= PAGES - 1)
}

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let (reader, _writer) = pipe()?;
    let of_pipe = opcode::Fadvise::new(Fd(reader.as_raw_fd()), 0, libc::POSIX_FADV_NORMAL).build();
    for (asked, entry, errno, why) in [
        ("FADVISE of a pipe", of_pipe, Errno::ESPIPE, "what has no offsets has no pages to keep"),
        (
            "FADVISE with advice 99",
            opcode::Fadvise::new(fd, 0, 99).build(),
            Errno::EINVAL,
            "no such advice",
        ),
    ] {
        // SAFETY: a FADVISE points at no memory.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// Waits, for some seconds at most, until all pages are in memory.
fn all_come(cached: Mapping) -> Result<bool> {
    let start = Instant::now();
    while cached.resident()? < PAGES {
        if start.elapsed() > Duration::from_secs(10) {
            return Ok(false);
        }
        std::thread::yield_now();
    }
    Ok(true)
}

/// Whether the file may exist only in memory. An overlay does not say what it lies on.
fn in_memory(file: &File) -> Result<bool> {
    const RAMFS_MAGIC: FsType = FsType(0x8584_58f6);
    let kind = fstatfs(file)?.filesystem_type();
    Ok([TMPFS_MAGIC, RAMFS_MAGIC, OVERLAYFS_SUPER_MAGIC].contains(&kind))
}
