//! FALLOCATE: reserve or release space in a file.
//!
//! Since 5.6. Stands for fallocate(2); liburing: `io_uring_prep_fallocate`; crate:
//! `opcode::Fallocate`.
//! Takes a descriptor or a slot, a range, and a mode: without one it reserves the range and makes
//! the file as long; the others keep the size, punch a hole, zero, collapse or insert a range.
//! Returns 0. Always runs in a worker. Which modes there are depends on the file system: tmpfs has
//! no more than a hole.
//! (`sqe->addr` has the length, and `sqe->len` the mode.)

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use atlas::{Entry, LeftOut, Page, Result, Where, pipe};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_FALLOCATE",
        "FALLOC_FL_KEEP_SIZE",
        "FALLOC_FL_PUNCH_HOLE",
        "FALLOC_FL_ZERO_RANGE",
        "FALLOC_FL_COLLAPSE_RANGE",
        "FALLOC_FL_INSERT_RANGE",
    ],
    show,
};

/// A multiple of the blocks of all usual file systems.
const BLOCK: u64 = 64 << 10;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let scratch = page.scratch()?;
    let file = scratch.file("blocks")?;
    let reserve = |mode, blocks| {
        opcode::Fallocate::new(Fd(file.as_raw_fd()), blocks * BLOCK).mode(mode).build()
    };
    let hole = libc::FALLOC_FL_PUNCH_HOLE | libc::FALLOC_FL_KEEP_SIZE;
    let punch = opcode::Fallocate::new(Fd(file.as_raw_fd()), BLOCK).offset(BLOCK).mode(hole);
    let used = || Ok::<_, io::Error>(file.metadata()?.blocks() * 512 / BLOCK);

    // SAFETY: the entry names no memory.
    unsafe {
        page.ask("FALLOCATE of 2 blocks", &mut ring, reserve(0, 2))?;
        page.saw(
            "the file is 2 blocks long, and has them",
            file.metadata()?.len() == 2 * BLOCK && used()? == 2,
        )?;
        page.ask(
            "FALLOCATE of 4 blocks with KEEP_SIZE",
            &mut ring,
            reserve(libc::FALLOC_FL_KEEP_SIZE, 4),
        )?;
        page.saw(
            "the file is 2 blocks long, and has 4",
            file.metadata()?.len() == 2 * BLOCK && used()? == 4,
        )?;
        page.ask("FALLOCATE of block 1 with PUNCH_HOLE", &mut ring, punch.build())?;
        page.saw(
            "the file is 2 blocks long, and has 3",
            file.metadata()?.len() == 2 * BLOCK && used()? == 3,
        )?;
    }
    ranges(page, &mut ring)?;
    mistakes(page, &mut ring, Fd(file.as_raw_fd()))
}
// ANCHOR_END: show

/// Modes that only some file systems have, such as ext4 and XFS.
fn ranges(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let path = page.scratch()?.path("letters");
    fs::write(&path, ["a", "b", "c"].map(|letter| letter.repeat(BLOCK as usize)).concat())?;
    let file = File::options().write(true).open(&path)?;
    let blocks = || {
        Ok::<_, io::Error>(
            String::from_utf8_lossy(&fs::read(&path)?)
                .chars()
                .step_by(BLOCK as usize)
                .collect::<String>(),
        )
    };
    for (name, mode, after) in [
        ("FALLOC_FL_ZERO_RANGE", libc::FALLOC_FL_ZERO_RANGE, "a\0c"),
        ("FALLOC_FL_COLLAPSE_RANGE", libc::FALLOC_FL_COLLAPSE_RANGE, "ac"),
        ("FALLOC_FL_INSERT_RANGE", libc::FALLOC_FL_INSERT_RANGE, "a\0c"),
    ] {
        let entry = opcode::Fallocate::new(Fd(file.as_raw_fd()), BLOCK).offset(BLOCK).mode(mode);
        let lacks =
            LeftOut::new(name, "the file system of the scratch folder cannot", Where::OtherMachine);
        let asked = format!("FALLOCATE of block 1 with {name}");
        // SAFETY: the entry names no memory.
        if unsafe { page.ask_unless(Errno::EOPNOTSUPP, lacks, &asked, ring, entry.build()) }?
            .is_some()
        {
            page.saw(&format!("the blocks are {after:?}"), blocks()? == after)?;
        }
    }
    Ok(())
}

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let (_reader, pipe) = pipe()?;
    let source = File::open("/proc/self/exe")?;
    let fallocate = |fd, length| opcode::Fallocate::new(fd, length);
    for (asked, entry, errno, why) in [
        (
            "FALLOCATE of 0 bytes",
            fallocate(fd, 0),
            Errno::EINVAL,
            "length 0 does not mean to the end",
        ),
        (
            "FALLOCATE with PUNCH_HOLE alone",
            fallocate(fd, BLOCK).mode(libc::FALLOC_FL_PUNCH_HOLE),
            Errno::EOPNOTSUPP,
            "a hole leaves the size alone: KEEP_SIZE has to be with it",
        ),
        (
            "FALLOCATE in a pipe",
            fallocate(Fd(pipe.as_raw_fd()), BLOCK),
            Errno::ESPIPE,
            "a pipe has no ranges",
        ),
        (
            "FALLOCATE in a file open for reading",
            fallocate(Fd(source.as_raw_fd()), BLOCK),
            Errno::EBADF,
            "it has to be open for writing",
        ),
        (
            "FALLOCATE at 2^63 - 1",
            fallocate(fd, BLOCK).offset(i64::MAX as u64),
            Errno::EFBIG,
            "no file is that long",
        ),
    ] {
        // SAFETY: the entry names no memory.
        unsafe { page.refused(asked, ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
