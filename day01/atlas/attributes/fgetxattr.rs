//! FGETXATTR: read an attribute of an open file.
//!
//! Since 5.19. Stands for fgetxattr(2); liburing: `io_uring_prep_fgetxattr`; crate:
//! `opcode::FGetXattr`.
//! Takes a descriptor or a slot, a name, and a buffer with its length. Returns the value's length;
//! with length 0, the length that a buffer needs. A socket has one that is not in the class `user`:
//! the name of its protocol. It always runs in a worker thread.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;

use atlas::{Entry, Page, Result};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{red_file, slots_missing};

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_FGETXATTR"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = red_file(page)?;
    let file = File::open(OsStr::from_bytes(path.to_bytes()))?;
    let socket = TcpListener::bind("127.0.0.1:0")?;
    ring.submitter().register_files(&[file.as_raw_fd()])?;
    let mut value = [0_u8; 8];
    let into = value.as_mut_ptr();
    let get = |fd: i32, name: &'static CStr, len| {
        opcode::FGetXattr::new(Fd(fd), name.as_ptr(), into.cast(), len).build()
    };
    // SAFETY: the buffer lives, and the kernel is not using it.
    let read = |len: i32| unsafe { std::slice::from_raw_parts(into, len as usize) };
    let (file, socket) = (file.as_raw_fd(), socket.as_raw_fd());
    // SAFETY: here and below, name and buffer outlive the call, and only the kernel uses the
    // buffer during it.
    let answer =
        unsafe { page.ask("FGETXATTR of user.colour", &mut ring, get(file, c"user.colour", 8)) }?;
    page.saw("it is what setxattr(2) set", read(answer.result) == b"red")?;
    let slot = opcode::FGetXattr::new(Fixed(0), c"user.colour".as_ptr(), into.cast(), 0).build();
    // SAFETY: as above.
    let by_slot = unsafe {
        let asked = "FGETXATTR of slot 0 with length 0";
        page.ask_unless(Errno::EBADF, slots_missing(), asked, &mut ring, slot)
    }?;
    page.saw("as long as it was read", by_slot.is_none_or(|answer| answer.result == 3))?;
    let protocol = get(socket, c"system.sockprotoname", 8);
    // SAFETY: as above.
    let answer = unsafe { page.ask("FGETXATTR of a socket's protocol", &mut ring, protocol) }?;
    page.saw("it is TCP", read(answer.result) == b"TCP\0")?;

    for (asked, entry, errno, why) in [
        (
            "FGETXATTR into 1 byte",
            get(file, c"user.colour", 1),
            Errno::ERANGE,
            "the value is longer: ask with length 0",
        ),
        (
            "FGETXATTR of user.colour of a socket",
            get(socket, c"user.colour", 8),
            Errno::ENODATA,
            "user.* is for files and directories",
        ),
        (
            "FGETXATTR of descriptor -1",
            get(-1, c"user.colour", 8),
            Errno::EBADF,
            "nothing is open there",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show
