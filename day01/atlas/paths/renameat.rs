//! RENAMEAT: rename a file.
//!
//! Since 5.11. Stands for renameat2(2); liburing: `io_uring_prep_renameat`; crate:
//! `opcode::RenameAt`.
//! Takes two directories' descriptors, two paths and `RENAME_*` flags. Returns 0. What had the new
//! name is replaced in one step: there is no moment without a file of that name.
//! After a power failure that holds only if the new file was flushed before (FSYNC) and the
//! directory after. It always runs in a worker thread.

use std::ffi::CStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use atlas::{Entry, LeftOut, Page, Result, Where};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_RENAMEAT", "RENAME_NOREPLACE", "RENAME_EXCHANGE", "RENAME_WHITEOUT"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    let at = Fd(folder.as_raw_fd());
    let read = |name| fs::read_to_string(path.join(name)).unwrap_or_default();
    fs::write(path.join("a"), "one")?;
    fs::write(path.join("b"), "two")?;
    let exchange = rename(at, c"a", c"b", libc::RENAME_EXCHANGE);
    // SAFETY: here and below, the paths are part of the program.
    unsafe { page.ask("EXCHANGE: RENAMEAT of a and b", &mut ring, exchange) }?;
    page.saw("each has what the other had", [read("a"), read("b")] == ["two", "one"])?;
    // SAFETY: as above.
    unsafe { page.ask("RENAMEAT of a to b", &mut ring, rename(at, c"a", c"b", 0)) }?;
    page.saw("b was replaced, and a is gone", [read("a"), read("b")] == ["", "two"])?;
    whiteout(page, &mut ring, at, &path)?;

    fs::create_dir_all(path.join("folder/below"))?;
    fs::create_dir(path.join("other"))?;
    mistakes(page, &mut ring, at)
}
// ANCHOR_END: show

fn rename(at: Fd, old: &'static CStr, new: &'static CStr, flags: u32) -> squeue::Entry {
    opcode::RenameAt::new(at, old.as_ptr(), at, new.as_ptr()).flags(flags).build()
}

/// The folder has the file b and the directories other, which is empty, and folder.
fn mistakes(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let both = libc::RENAME_EXCHANGE | libc::RENAME_NOREPLACE;
    let by_slot = rename(at, c"b", c"x", 0).flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        ("RENAMEAT of a again", rename(at, c"a", c"b", 0), Errno::ENOENT, "it is b now"),
        (
            "NOREPLACE: RENAMEAT of b to other",
            rename(at, c"b", c"other", libc::RENAME_NOREPLACE),
            Errno::EEXIST,
            "the name is taken",
        ),
        (
            "RENAMEAT, NOREPLACE and EXCHANGE",
            rename(at, c"b", c"other", both),
            Errno::EINVAL,
            "they exclude each other",
        ),
        (
            "RENAMEAT of other to folder",
            rename(at, c"other", c"folder", 0),
            Errno::ENOTEMPTY,
            "only an empty directory is replaced",
        ),
        (
            "RENAMEAT of folder into itself",
            rename(at, c"folder", c"folder/x", 0),
            Errno::EINVAL,
            "nothing would lead to it any more",
        ),
        (
            "RENAMEAT of b to /proc/b",
            rename(at, c"b", c"/proc/b", 0),
            Errno::EXDEV,
            "another mount: copy the file, flush it, and rename there",
        ),
        ("RENAMEAT by slot", by_slot, Errno::EBADF, "the directories must be descriptors"),
    ] {
        // SAFETY: the paths are part of the program.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// A whiteout hides a file of the layer below in an overlay: a device with the number 0.
fn whiteout(page: &mut Page, ring: &mut IoUring, at: Fd, path: &Path) -> Result<()> {
    fs::write(path.join("c"), "")?;
    let entry = rename(at, c"c", c"d", libc::RENAME_WHITEOUT);
    let left_out = LeftOut {
        what: "RENAME_WHITEOUT".to_string(),
        why: "this file system makes no whiteouts".to_string(),
        seen: Where::OtherMachine,
    };
    // SAFETY: the paths are part of the program.
    let done = unsafe {
        page.ask_unless(Errno::EINVAL, left_out, "WHITEOUT: RENAMEAT of c to d", ring, entry)
    }?;
    if done.is_some() {
        let left = fs::symlink_metadata(path.join("c"))?;
        let is_device_0 = left.file_type().is_char_device() && left.rdev() == 0;
        page.saw("a device with the number 0 stands at c", is_device_0)?;
    }
    Ok(())
}
