//! SYMLINKAT: make a symbolic link.
//!
//! Since 5.15. Stands for symlinkat(2); liburing: `io_uring_prep_symlinkat`; crate:
//! `opcode::SymlinkAt`.
//! Takes the text of the link, a directory's descriptor and the path of the link. Returns 0. The
//! text is stored as it is; whether it leads anywhere shows when the link is followed.
//! It always runs in a worker thread.

use std::ffi::CStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::path::Path;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_SYMLINKAT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    let at = Fd(folder.as_raw_fd());
    // SAFETY: here and below, the paths are part of the program.
    unsafe { page.ask("SYMLINKAT of link to report", &mut ring, link(at, c"report", c"link")) }?;
    let text = fs::read_link(path.join("link"))?;
    page.saw("readlink(2) gives the text", text == Path::new("report"))?;
    let why = "it leads to report, which is not there";
    // SAFETY: as above.
    unsafe { page.refused("OPENAT of link", &mut ring, open(at, c"link", 0), Errno::ENOENT, why) }?;
    let create = open(at, c"link", libc::O_CREAT);
    // SAFETY: as above.
    unsafe { page.ask("OPENAT of link with O_CREAT", &mut ring, create) }?;
    page.saw("that made report", path.join("report").is_file())?;
    // SAFETY: as above.
    unsafe { page.ask("SYMLINKAT of loop to loop", &mut ring, link(at, c"loop", c"loop")) }?;
    mistakes(page, &mut ring, at)
}
// ANCHOR_END: show

fn link(at: Fd, text: &'static CStr, path: &'static CStr) -> squeue::Entry {
    opcode::SymlinkAt::new(at, text.as_ptr(), path.as_ptr()).build()
}

fn open(at: Fd, path: &'static CStr, flags: i32) -> squeue::Entry {
    let open = opcode::OpenAt::new(at, path.as_ptr()).flags(flags | libc::O_CLOEXEC);
    open.mode(0o600).build()
}

fn mistakes(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let by_slot = link(at, c"report", c"x").flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        ("OPENAT of loop", open(at, c"loop", 0), Errno::ELOOP, "the link leads to itself"),
        (
            "OPENAT of link with O_NOFOLLOW",
            open(at, c"link", libc::O_NOFOLLOW),
            Errno::ELOOP,
            "that is a link",
        ),
        (
            "SYMLINKAT of link again",
            link(at, c"report", c"link"),
            Errno::EEXIST,
            "the name is taken",
        ),
        (
            "SYMLINKAT without a text",
            link(at, c"", c"empty"),
            Errno::ENOENT,
            "a link must lead somewhere",
        ),
        ("SYMLINKAT by slot", by_slot, Errno::EBADF, "the directory must be a descriptor"),
    ] {
        // SAFETY: the paths are part of the program.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
