//! MKDIRAT: make a directory.
//!
//! Since 5.15. Stands for mkdirat(2); liburing: `io_uring_prep_mkdirat`; crate: `opcode::MkDirAt`.
//! Takes a directory's descriptor, a path and a mode, from which the process's umask is taken.
//! Returns 0, no descriptor: link an OPENAT to it. It always runs in a worker thread.

use std::ffi::CStr;
use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;

use atlas::{Ask, Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::folder;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_MKDIRAT"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (path, folder) = folder(page)?;
    let at = Fd(folder.as_raw_fd());
    // SAFETY: here and below, the paths are part of the program.
    unsafe { page.ask("MKDIRAT of new", &mut ring, make(at, c"new")) }?;
    let made = fs::metadata(path.join("new"))?;
    page.saw(
        "it is a directory, for its owner only",
        made.is_dir() && made.mode() & 0o777 == 0o700,
    )?;

    let create = opcode::OpenAt::new(at, c"new/deep/file".as_ptr()).mode(0o600);
    let create = create.flags(libc::O_CREAT | libc::O_CLOEXEC).build();
    let linked = make(at, c"new/deep").flags(squeue::Flags::IO_LINK);
    let chain = [
        Ask::new("MKDIRAT of new/deep, linked", linked),
        Ask::new("OPENAT of a file in it", create),
    ];
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, chain) }?;
    page.saw("the directory was there in time", path.join("new/deep/file").exists())?;
    mistakes(page, &mut ring, at)
}
// ANCHOR_END: show

fn make(at: Fd, path: &'static CStr) -> squeue::Entry {
    opcode::MkDirAt::new(at, path.as_ptr()).mode(0o700).build()
}

fn mistakes(page: &mut Page, ring: &mut IoUring, at: Fd) -> Result<()> {
    let by_slot = make(at, c"x").flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        (
            "MKDIRAT of new again",
            make(at, c"new"),
            Errno::EEXIST,
            "the name is taken; often that is as good as 0",
        ),
        (
            "MKDIRAT of a/b",
            make(at, c"a/b"),
            Errno::ENOENT,
            "it makes one directory, and a is missing",
        ),
        (
            "MKDIRAT of new/deep/file/x",
            make(at, c"new/deep/file/x"),
            Errno::ENOTDIR,
            "new/deep/file is a file",
        ),
        ("MKDIRAT by slot", by_slot, Errno::EBADF, "the directory must be a descriptor"),
    ] {
        // SAFETY: the paths are part of the program.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}
