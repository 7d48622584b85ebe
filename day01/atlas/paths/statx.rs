//! STATX: ask for a file's size, times and owner.
//!
//! Since 5.6. Stands for statx(2); liburing: `io_uring_prep_statx`; crate: `opcode::Statx`, whose
//! `types::statx` is a name only: pass a pointer to a `libc::statx`.
//! Takes a directory's descriptor, a path, `AT_*` flags and a mask of what is asked for. Returns 0;
//! `stx_mask` says what was filled in. Since 6.1 STATX_DIOALIGN tells what O_DIRECT reads and
//! writes must be aligned to.
//! It always runs in a worker thread.

use std::ffi::CStr;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, symlink};

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_STATX",
        "AT_EMPTY_PATH",
        "AT_SYMLINK_NOFOLLOW",
        "AT_NO_AUTOMOUNT",
        "AT_STATX_FORCE_SYNC",
        "AT_STATX_DONT_SYNC",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    fs::write(path.join("report"), "five!")?;
    symlink("report", path.join("link"))?;
    let report = File::open(path.join("report"))?;
    // SAFETY: zeros are a statx structure.
    let mut stat: libc::statx = unsafe { std::mem::zeroed() };
    let into = &raw mut stat;
    let (at, file) = (Fd(folder.as_raw_fd()), Fd(report.as_raw_fd()));
    let by_stat = report.metadata()?;
    for (asked, entry) in [
        ("STATX of link, a symbolic link", statx(at, c"link", into, 0)),
        ("EMPTY_PATH: STATX of an open file", statx(file, c"", into, libc::AT_EMPTY_PATH)),
        ("NO_AUTOMOUNT: STATX of report", statx(at, c"report", into, libc::AT_NO_AUTOMOUNT)),
        ("FORCE_SYNC: STATX of report", statx(at, c"report", into, libc::AT_STATX_FORCE_SYNC)),
        ("DONT_SYNC: STATX of report", statx(at, c"report", into, libc::AT_STATX_DONT_SYNC)),
    ] {
        // SAFETY: `stat` outlives the call, and only the kernel uses it during it; the path is
        // part of the program.
        unsafe { page.ask(asked, &mut ring, entry) }?;
        // SAFETY: the kernel has filled it in.
        let (size, inode) = unsafe { ((*into).stx_size, (*into).stx_ino) };
        page.saw("size and inode are those of stat(2)", (size, inode) == (5, by_stat.ino()))?;
    }
    // SAFETY: as above.
    page.note("what O_DIRECT asks of this file", unsafe { direct_io(&*into) });
    let entry = statx(at, c"link", into, libc::AT_SYMLINK_NOFOLLOW);
    // SAFETY: as above.
    unsafe { page.ask("SYMLINK_NOFOLLOW: STATX of link", &mut ring, entry) }?;
    // SAFETY: as above.
    let mode = unsafe { (*into).stx_mode };
    let is_link = u32::from(mode) & libc::S_IFMT == libc::S_IFLNK;
    page.saw("that was the link itself", is_link)?;
    mistakes(page, &mut ring, file, into)
}
// ANCHOR_END: show

fn statx(at: Fd, path: &'static CStr, into: *mut libc::statx, flags: i32) -> squeue::Entry {
    let mask = libc::STATX_BASIC_STATS | libc::STATX_DIOALIGN;
    opcode::Statx::new(at, path.as_ptr(), into.cast()).flags(flags).mask(mask).build()
}

fn mistakes(page: &mut Page, ring: &mut IoUring, file: Fd, into: *mut libc::statx) -> Result<()> {
    let both = libc::AT_STATX_FORCE_SYNC | libc::AT_STATX_DONT_SYNC;
    let nowhere = statx(file, c"", std::ptr::null_mut(), libc::AT_EMPTY_PATH);
    let by_slot = statx(file, c"", into, libc::AT_EMPTY_PATH).flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        (
            "STATX of an empty path",
            statx(file, c"", into, 0),
            Errno::ENOENT,
            "it needs AT_EMPTY_PATH",
        ),
        (
            "STATX, FORCE_SYNC and DONT_SYNC",
            statx(file, c"", into, libc::AT_EMPTY_PATH | both),
            Errno::EINVAL,
            "they exclude each other",
        ),
        ("STATX into address 0", nowhere, Errno::EFAULT, "nothing is mapped there"),
        (
            "STATX by slot",
            by_slot,
            Errno::EBADF,
            "it takes no IOSQE_FIXED_FILE: install a descriptor first",
        ),
    ] {
        // SAFETY: `into` outlives the call, and at address 0 no memory can be harmed.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// `STATX_DIOALIGN` in words. Kernels before 6.1 do not have it, and files in memory need no
/// O_DIRECT.
fn direct_io(stat: &libc::statx) -> String {
    match (stat.stx_mask & libc::STATX_DIOALIGN, stat.stx_dio_offset_align) {
        (0, _) => "not said by this file system or kernel".to_string(),
        (_, 0) => "this file cannot be read with it".to_string(),
        (_, offset) => {
            let memory = stat.stx_dio_mem_align;
            format!("addresses in steps of {memory}, offsets and lengths in steps of {offset}")
        }
    }
}
