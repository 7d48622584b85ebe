//! REGISTER_FILE_ALLOC_RANGE: set the range of slots that the kernel may pick from.
//!
//! Since 6.0. Takes the first slot and their number (`struct io_uring_file_index_range`); liburing:
//! `io_uring_register_file_alloc_range`; crate: none.
//! For operations that put a file into a slot of the kernel's choice
//! (`DestinationSlot::auto_target`). The program keeps the others for files that it places itself.

use std::io;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result, raw};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_FILE_ALLOC_RANGE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (name, empty) = ("IORING_RSRC_REGISTER_SPARSE", ring.submitter().register_files_sparse(8));
    if page.call_since(name, "8 empty slots", empty)?.is_none() {
        return Ok(());
    }
    let name = "IORING_REGISTER_FILE_ALLOC_RANGE";
    if page.call_since(name, "the kernel's slots: 2, from 4 on", range(&ring, 4, 2))?.is_none() {
        return Ok(());
    }
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/dev/null".as_ptr())
        .file_index(Some(types::DestinationSlot::auto_target()))
        .build();
    for expected in [4, 5] {
        // SAFETY: here and below, the path is part of the program.
        let answer = unsafe { page.ask("OPENAT into a slot", &mut ring, open.clone()) }?;
        page.saw(&format!("it is slot {expected}"), answer.result == expected)?;
    }
    let why = "the range is full, though slots 0 to 3 are empty";
    // SAFETY: as above.
    unsafe { page.refused("OPENAT into a slot", &mut ring, open, Errno::ENFILE, why) }?;

    let why = "the range ends behind the table";
    page.call_refused("2 slots, from 7 on", range(&ring, 7, 2), Errno::EINVAL, why)?;
    let why = "first slot and number together go beyond 32 bits";
    page.call_refused(
        "4294967295 slots, from 1 on",
        range(&ring, 1, u32::MAX),
        Errno::EOVERFLOW,
        why,
    )?;
    let without = range(&IoUring::new(4)?, 0, 1);
    page.call_refused("a range without a table", without, Errno::EINVAL, "make the table first")
}
// ANCHOR_END: show

/// `io_uring_register_file_alloc_range`, which the crate does not have.
fn range(ring: &IoUring, first: u32, number: u32) -> io::Result<u32> {
    // `struct io_uring_file_index_range`: first, number, and a reserved one of 64 bits.
    let range = [first, number, 0, 0];
    let call = call("REGISTER_FILE_ALLOC_RANGE");
    // SAFETY: the call reads these 16 bytes. It wants 0 as the count of its arguments.
    unsafe { raw::register(ring.as_raw_fd(), call, range.as_ptr(), 0) }
}
