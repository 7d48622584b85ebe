//! GETXATTR: read an attribute of a path.
//!
//! Since 5.19. Stands for getxattr(2); liburing: `io_uring_prep_getxattr`; crate:
//! `opcode::GetXattr`.
//! Takes a name, a buffer with its length, and a path, which starts at the working directory if it
//! is relative. Returns the value's length. With length 0 it returns the length that a buffer
//! needs, and reads nothing. It always runs in a worker thread.

use std::ffi::CStr;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;

use super::red_file;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_GETXATTR"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = red_file(page)?;
    let mut value = [0_u8; 8];
    let into = value.as_mut_ptr();
    let get = |name: &'static CStr, path: &CStr, len| {
        opcode::GetXattr::new(name.as_ptr(), into.cast(), path.as_ptr(), len).build()
    };
    let colour = c"user.colour";
    // SAFETY: here and below, name, path and buffer outlive the call, and only the kernel uses
    // the buffer during it.
    let answer = unsafe { page.ask("GETXATTR of user.colour", &mut ring, get(colour, &path, 8)) }?;
    // SAFETY: the buffer lives, and the kernel is not using it.
    let value = unsafe { std::slice::from_raw_parts(into, answer.result as usize) };
    page.saw("it is what setxattr(2) set", value == b"red")?;
    // SAFETY: as above.
    let answer = unsafe { page.ask("GETXATTR with length 0", &mut ring, get(colour, &path, 0)) }?;
    page.saw("as long as it was read", answer.result == 3)?;

    let by_slot = get(colour, &path, 8).flags(squeue::Flags::FIXED_FILE);
    for (asked, entry, errno, why) in [
        (
            "GETXATTR into 1 byte",
            get(colour, &path, 1),
            Errno::ERANGE,
            "the value is longer: ask with length 0",
        ),
        (
            "GETXATTR of user.x",
            get(c"user.x", &path, 8),
            Errno::ENODATA,
            "the file has no such attribute",
        ),
        (
            "GETXATTR of colour",
            get(c"colour", &path, 8),
            Errno::EOPNOTSUPP,
            "a name has a class before it: user.colour",
        ),
        (
            "GETXATTR of the path report",
            get(colour, c"report", 8),
            Errno::ENOENT,
            "it is looked for in the working directory",
        ),
        ("GETXATTR by slot", by_slot, Errno::EBADF, "it takes a path: use FGETXATTR"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
