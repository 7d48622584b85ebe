//! UNLINKAT: remove a file or a directory.
//!
//! Since 5.11. Stands for unlinkat(2), rmdir(2) as well; liburing: `io_uring_prep_unlinkat`; crate:
//! `opcode::UnlinkAt`.
//! Takes a directory's descriptor, a path, and `AT_REMOVEDIR` for a directory, which must be empty.
//! Returns 0. The name goes at once, the file when nothing has it open any more.
//! It always runs in a worker thread.

use std::ffi::CStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_UNLINKAT", "AT_REMOVEDIR"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    let at = Fd(folder.as_raw_fd());
    fs::write(path.join("report"), "still here")?;
    let open = fs::File::open(path.join("report"))?;
    // SAFETY: here and below, the path is part of the program.
    unsafe { page.ask("UNLINKAT of an open file", &mut ring, unlink(at, c"report", 0)) }?;
    page.saw("its name is gone", !path.join("report").exists())?;
    page.saw("it has no name left", open.metadata()?.nlink() == 0)?;
    page.saw("the open descriptor still reads it", std::io::read_to_string(open)? == "still here")?;

    fs::create_dir_all(path.join("full/empty"))?;
    fs::write(path.join("full/file"), "")?;
    let empty = unlink(at, c"full/empty", libc::AT_REMOVEDIR);
    // SAFETY: as above.
    unsafe { page.ask("REMOVEDIR: UNLINKAT of an empty directory", &mut ring, empty) }?;
    page.saw("the directory is gone", !path.join("full/empty").exists())?;
    mistakes(page, &mut ring, at)
}
// ANCHOR_END: show

fn unlink(at: Fd, path: &'static CStr, flags: i32) -> squeue::Entry {
    opcode::UnlinkAt::new(at, path.as_ptr()).flags(flags).build()
}

/// The folder has the directory full with a file in it.
fn mistakes(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let by_slot = unlink(at, c"full/file", 0).flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        (
            "UNLINKAT of report again",
            unlink(at, c"report", 0),
            Errno::ENOENT,
            "no such name is there",
        ),
        (
            "UNLINKAT of full, a directory",
            unlink(at, c"full", 0),
            Errno::EISDIR,
            "a directory needs AT_REMOVEDIR",
        ),
        (
            "REMOVEDIR: UNLINKAT of full",
            unlink(at, c"full", libc::AT_REMOVEDIR),
            Errno::ENOTEMPTY,
            "empty it first",
        ),
        (
            "REMOVEDIR: UNLINKAT of full/file",
            unlink(at, c"full/file", libc::AT_REMOVEDIR),
            Errno::ENOTDIR,
            "for a file, leave the flag out",
        ),
        (
            "SYMLINK_NOFOLLOW: UNLINKAT of full/file",
            unlink(at, c"full/file", libc::AT_SYMLINK_NOFOLLOW),
            Errno::EINVAL,
            "it has no such flag, and removes a link itself anyway",
        ),
        ("UNLINKAT by slot", by_slot, Errno::EBADF, "the directory must be a descriptor"),
    ] {
        // SAFETY: the paths are part of the program.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
