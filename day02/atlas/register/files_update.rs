//! REGISTER_FILES_UPDATE: fill or empty slots.
//!
//! Since 5.5. Takes the first slot and descriptors: -1 empties a slot, -2
//! (`IORING_REGISTER_FILES_SKIP`, 5.12) leaves it. Returns how many it did: on an error in the
//! middle, fewer than asked. liburing: `io_uring_register_files_update`; crate:
//! `Submitter::register_files_update`.
//! FILES_UPDATE (day 1) does the same as an entry.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_FILES_UPDATE"], show };

/// Which slots hold a file: `x.x` for the first and the third.
fn filled(ring: &mut IoUring) -> Result<String> {
    let mut slots = String::new();
    for slot in 0..3 {
        let poll = opcode::PollAdd::new(types::Fixed(slot), libc::POLLOUT as u32).build();
        // SAFETY: a poll points at no memory.
        unsafe { ring.submission().push(&poll) }?;
        ring.submit_and_wait(1)?;
        let result = ring.completion().next().map(|completion| completion.result());
        slots.push(if result == Some(-libc::EBADF) { '.' } else { 'x' });
    }
    Ok(slots)
}

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (_read, write) = nix::unistd::pipe()?;
    let file = write.as_raw_fd();
    let mut ring = IoUring::new(4)?;
    page.call("3 empty slots", ring.submitter().register_files(&[-1; 3]))?;
    page.saw("no slot has a file", filled(&mut ring)? == "...")?;
    let updated = ring.submitter().register_files_update(1, &[file, file]);
    let updated = page.call("update from slot 1: two files", updated)?;
    page.saw("2 were filled", updated == 2 && filled(&mut ring)? == ".xx")?;
    let updated = ring.submitter().register_files_update(0, &[file, -2, -1]);
    page.call("update from slot 0: a file, skip (-2), empty (-1)", updated)?;
    page.saw("filled, left, emptied", filled(&mut ring)? == "xx.")?;

    let updated = ring.submitter().register_files_update(0, &[-1, 1_000_000, -1]);
    let updated = page.call("empty, a number that is no descriptor, empty", updated)?;
    page.note("slots updated", updated);
    page.saw("it stopped at the error, and says 1", updated == 1)?;
    page.saw("the slot of the error is empty: it lost its file", filled(&mut ring)? == "...")?;
    let updated = ring.submitter().register_files_update(1, &[1_000_000]);
    let why = "no open descriptor; as the first of several it is an error";
    page.call_refused("update: a number that is no descriptor", updated, Errno::EBADF, why)?;
    let updated = ring.submitter().register_files_update(2, &[file, file]);
    let why = "the table has 3 slots: an update does not make it longer";
    page.call_refused("update from slot 2: two files", updated, Errno::EINVAL, why)?;
    let without = IoUring::new(4)?.submitter().register_files_update(0, &[file]);
    let why = "there is no table: make one first";
    page.call_refused("update of a ring without a table", without, Errno::ENXIO, why)
}
// ANCHOR_END: show
