//! SETXATTR: set an attribute of a path.
//!
//! Since 5.19. Stands for setxattr(2); liburing: `io_uring_prep_setxattr`; crate:
//! `opcode::SetXattr`.
//! Takes a name, a value with its length, a path, and `XATTR_CREATE` or `XATTR_REPLACE`. Returns 0.
//! There is no directory to start from: a relative path starts at the working directory.
//! Users may have names that begin with `user.`, on regular files and directories. A value has at
//! most 64 KiB, and less where the file system has less room: on ext4 a block for all of a file.
//! It always runs in a worker thread.

use std::ffi::{CStr, CString};

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::{attribute, red_file};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_OP_SETXATTR", "XATTR_CREATE", "XATTR_REPLACE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = red_file(page)?;
    let set = |name: &CStr, value: &[u8], flags| {
        let (name, len) = (name.as_ptr(), value.len() as u32);
        let set = opcode::SetXattr::new(name, value.as_ptr().cast(), path.as_ptr(), len);
        set.flags(flags).build()
    };
    let entry = set(c"user.colour", b"blue", 0);
    // SAFETY: here and below, path, name and value outlive the call.
    unsafe { page.ask("SETXATTR of user.colour", &mut ring, entry) }?;
    page.saw("getxattr(2) reads it", attribute(&path, c"user.colour") == b"blue")?;
    let entry = set(c"user.shape", b"round", libc::XATTR_CREATE);
    // SAFETY: as above.
    unsafe { page.ask("CREATE: user.shape", &mut ring, entry) }?;
    let entry = set(c"user.shape", b"square", libc::XATTR_REPLACE);
    // SAFETY: as above.
    unsafe { page.ask("REPLACE: user.shape", &mut ring, entry) }?;
    page.saw("getxattr(2) reads the second", attribute(&path, c"user.shape") == b"square")?;

    let long = CString::new("user.".to_string() + &"x".repeat(251))?;
    let large = vec![0; (64 << 10) + 1];
    let relative =
        opcode::SetXattr::new(c"user.x".as_ptr(), b"x".as_ptr().cast(), c"report".as_ptr(), 1);
    let by_slot = set(c"user.x", b"x", 0).flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        (
            "CREATE: user.shape again",
            set(c"user.shape", b"x", libc::XATTR_CREATE),
            Errno::EEXIST,
            "the file has that attribute",
        ),
        (
            "REPLACE: user.x",
            set(c"user.x", b"x", libc::XATTR_REPLACE),
            Errno::ENODATA,
            "the file has no such attribute",
        ),
        (
            "SETXATTR of shape",
            set(c"shape", b"x", 0),
            Errno::EOPNOTSUPP,
            "a name has a class before it: user.shape",
        ),
        (
            "SETXATTR of a name of 256 bytes",
            set(&long, b"x", 0),
            Errno::ERANGE,
            "a name has 255 at most",
        ),
        (
            "SETXATTR of 64 KiB and a byte",
            set(c"user.x", &large, 0),
            Errno::E2BIG,
            "a value has 64 KiB at most",
        ),
        (
            "SETXATTR of the path report",
            relative.build(),
            Errno::ENOENT,
            "it is looked for in the working directory",
        ),
        ("SETXATTR by slot", by_slot, Errno::EBADF, "it takes a path: use FSETXATTR"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
