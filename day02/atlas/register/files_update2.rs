//! REGISTER_FILES_UPDATE2: fill or empty slots, with tags.
//!
//! Since 5.13. liburing: `io_uring_register_files_update_tag`; crate: none.
//! What REGISTER_FILES_UPDATE does, with a tag for each new file: see REGISTER_FILES2.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use atlas::{Entry, Page, Result, raw};
use io_uring::IoUring;
use nix::errno::Errno;

use super::call;
use super::files2::with_tags;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_FILES_UPDATE2"], show };

/// The tags of the first and the second file.
const TAGS: [u64; 2] = [0x7a60, 0x7a61];

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let (read, write) = nix::unistd::pipe()?;
    let (read, write) = (read.as_raw_fd(), write.as_raw_fd());
    let mut ring = IoUring::new(4)?;
    let registered = with_tags(&ring, &[read, -1], &[TAGS[0], 0]);
    let (name, asked) = ("IORING_REGISTER_FILES_UPDATE2", "a file, tag 0x7a60, and an empty slot");
    if page.call_since(name, asked, registered)?.is_none() {
        return Ok(());
    }
    page.call("update of slot 0: another file, tag 0x7a61", update(&ring, 0, write, TAGS[1]))?;
    page.arrives("the first file is gone from the table", &mut ring, TAGS[0]);
    page.call("update of slot 0: empty", update(&ring, 0, -1, 0))?;
    page.arrives("the second file is gone as well", &mut ring, TAGS[1]);

    let why = "the slot is to be empty: there is nothing to tag";
    page.call_refused("update: empty, with a tag", update(&ring, 0, -1, 9), Errno::EINVAL, why)?;
    let why = "the slot is to be left: its tag cannot be changed";
    page.call_refused("update: skip, with a tag", update(&ring, 0, -2, 9), Errno::EINVAL, why)?;
    let why = "the table has 2 slots: an update does not make it longer";
    page.call_refused("update of slot 2", update(&ring, 2, read, 0), Errno::EINVAL, why)
}
// ANCHOR_END: show

/// `struct io_uring_rsrc_update2`.
#[repr(C)]
struct Update {
    offset: u32,
    resv: u32,
    data: *const RawFd,
    tags: *const u64,
    number: u32,
    resv2: u32,
}

/// `io_uring_register_files_update_tag` of one slot, which the crate does not have.
fn update(ring: &IoUring, slot: u32, file: RawFd, tag: u64) -> io::Result<u32> {
    let (data, tags) = (&raw const file, &raw const tag);
    let update = Update { offset: slot, resv: 0, data, tags, number: 1, resv2: 0 };
    let (call, size) = (call("REGISTER_FILES_UPDATE2"), size_of::<Update>() as u32);
    // SAFETY: the call reads the structure, one descriptor and one tag, and keeps none of them.
    unsafe { raw::register(ring.as_raw_fd(), call, &update, size) }
}
