//! LINKAT: give a file one more name.
//!
//! Since 5.15. Stands for linkat(2); liburing: `io_uring_prep_linkat`; crate: `opcode::LinkAt`.
//! Takes two directories' descriptors, the old path, the new path and `AT_*` flags. Returns 0.
//! A file that was opened with O_TMPFILE has no name yet: write it, flush it, and this one makes
//! it appear whole. It always runs in a worker thread.

use std::ffi::{CStr, CString};
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, symlink};
use std::path::Path;

use atlas::{Entry, Page, Result, Where};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_LINKAT", "AT_SYMLINK_FOLLOW"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    let at = Fd(folder.as_raw_fd());
    let inode = |name| fs::symlink_metadata(path.join(name)).map(|file| file.ino());
    fs::write(path.join("report"), "")?;
    symlink("report", path.join("link"))?;
    // SAFETY: here and below, the paths live longer than the call.
    unsafe { page.ask("LINKAT of report to twin", &mut ring, link(at, c"report", c"twin", 0)) }?;
    page.saw("they are one file", inode("twin")? == inode("report")?)?;
    // SAFETY: as above.
    unsafe { page.ask("LINKAT of link", &mut ring, link(at, c"link", c"link2", 0)) }?;
    page.saw("the new name is the link's", inode("link2")? == inode("link")?)?;
    let follow = link(at, c"link", c"triplet", libc::AT_SYMLINK_FOLLOW);
    // SAFETY: as above.
    unsafe { page.ask("SYMLINK_FOLLOW: LINKAT of link", &mut ring, follow) }?;
    page.saw("the new name is the file's", inode("triplet")? == inode("report")?)?;
    nameless(page, &mut ring, at, &path)?;
    mistakes(page, &mut ring, at)
}
// ANCHOR_END: show

fn link(at: Fd, old: &CStr, new: &CStr, flags: i32) -> squeue::Entry {
    opcode::LinkAt::new(at, old.as_ptr(), at, new.as_ptr()).flags(flags).build()
}

fn mistakes(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let by_slot = link(at, c"report", c"x", 0).flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        (
            "LINKAT of report to twin again",
            link(at, c"report", c"twin", 0),
            Errno::EEXIST,
            "it replaces nothing: link to another name, and rename",
        ),
        (
            "LINKAT of a directory",
            link(at, c".", c"x", 0),
            Errno::EPERM,
            "a directory has one name only",
        ),
        (
            "LINKAT of /proc/version",
            link(at, c"/proc/version", c"x", 0),
            Errno::EXDEV,
            "a name and its file are on one file system",
        ),
        ("LINKAT by slot", by_slot, Errno::EBADF, "the directories must be descriptors"),
    ] {
        // SAFETY: the paths are part of the program.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

/// Gives a file that has no name its first one, by its link in /proc.
///
/// AT_EMPTY_PATH names the open file itself, but up to 6.9 only for CAP_DAC_READ_SEARCH.
fn nameless(page: &mut Page, ring: &mut IoUring, at: Fd, path: &Path) -> Result<()> {
    let mut options = File::options();
    let options = options.write(true).custom_flags(libc::O_TMPFILE).mode(0o600);
    let Ok(mut file) = options.open(path) else {
        let why = "this file system has no O_TMPFILE";
        return page.cannot("a first name for a file", why, Where::OtherMachine);
    };
    file.write_all(b"whole")?;
    let name = CString::new(format!("/proc/self/fd/{}", file.as_raw_fd()))?;
    let born = |flags| link(at, &name, c"born", flags);
    let asked = "LINKAT of its link in /proc";
    let why = "that link is a file of /proc: say SYMLINK_FOLLOW";
    // SAFETY: here and below, both paths outlive the call.
    unsafe { page.refused(asked, ring, born(0), Errno::EXDEV, why) }?;
    let asked = "SYMLINK_FOLLOW: LINKAT of a file without a name";
    // SAFETY: as above.
    unsafe { page.ask(asked, ring, born(libc::AT_SYMLINK_FOLLOW)) }?;
    page.saw("it has a name now", fs::read_to_string(path.join("born"))? == "whole")?;
    fs::remove_file(path.join("born"))?;
    let asked = "SYMLINK_FOLLOW: LINKAT of a file whose name was removed";
    let why = "what was removed stays removed";
    // SAFETY: as above.
    unsafe { page.refused(asked, ring, born(libc::AT_SYMLINK_FOLLOW), Errno::ENOENT, why) }
}
