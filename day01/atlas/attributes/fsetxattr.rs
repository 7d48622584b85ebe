//! FSETXATTR: set an attribute of an open file.
//!
//! Since 5.19. Stands for fsetxattr(2); liburing: `io_uring_prep_fsetxattr`; crate:
//! `opcode::FSetXattr`.
//! Takes a descriptor or a slot, a name, a value with its length, and `XATTR_*` flags. Returns 0.
//! The file need not be open for writing: the user must be allowed to write to it.
//! It always runs in a worker thread.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;

use atlas::{Entry, Page, Result, pipe};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{attribute, red_file, slots_missing};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_FSETXATTR"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = red_file(page)?;
    let file = File::open(OsStr::from_bytes(path.to_bytes()))?;
    ring.submitter().register_files(&[file.as_raw_fd()])?;
    let (name, value) = (c"user.colour", b"blue");
    let set = |fd| opcode::FSetXattr::new(fd, name.as_ptr(), value.as_ptr().cast(), 4).build();
    let fd = Fd(file.as_raw_fd());
    // SAFETY: here and below, name and value are part of the program.
    unsafe { page.ask("FSETXATTR of a file open for reading", &mut ring, set(fd)) }?;
    page.saw("getxattr(2) reads it", attribute(&path, name) == value)?;
    let slot = opcode::FSetXattr::new(Fixed(0), name.as_ptr(), b"green".as_ptr().cast(), 5);
    let slot = slot.flags(libc::XATTR_REPLACE).build();
    // SAFETY: as above.
    let by_slot = unsafe {
        let asked = "REPLACE: FSETXATTR of slot 0";
        page.ask_unless(Errno::EBADF, slots_missing(), asked, &mut ring, slot)
    }?;
    if by_slot.is_some() {
        page.saw("getxattr(2) reads that one", attribute(&path, name) == b"green")?;
    }

    let (reader, _writer) = pipe()?;
    let mut options = File::options();
    let options = options.read(true).custom_flags(libc::O_PATH);
    let only_a_path = options.open(OsStr::from_bytes(path.to_bytes()))?;
    let create = opcode::FSetXattr::new(fd, name.as_ptr(), value.as_ptr().cast(), 4);
    let create = create.flags(libc::XATTR_CREATE).build();
    for (asked, entry, errno, why) in [
        (
            "FSETXATTR of a pipe",
            set(Fd(reader.as_raw_fd())),
            Errno::EPERM,
            "user.* is for files and directories",
        ),
        (
            "FSETXATTR of an O_PATH descriptor",
            set(Fd(only_a_path.as_raw_fd())),
            Errno::EBADF,
            "that names a file and does not open it",
        ),
        ("CREATE: FSETXATTR", create, Errno::EEXIST, "the file has that attribute"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
