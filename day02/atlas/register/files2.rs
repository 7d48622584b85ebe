//! REGISTER_FILES2: make a table of slots, with tags or empty.
//!
//! Since 5.13; empty tables (`IORING_RSRC_REGISTER_SPARSE`) since 5.19. liburing:
//! `io_uring_register_files_tags`, `io_uring_register_files_sparse`; crate: only
//! `Submitter::register_files_sparse`, tags by hand.
//! A tag is a number of the program's own. It arrives as the `user_data` of a completion when the
//! slot's file is really gone: after the slot was emptied, and after the last operation on it. So
//! it shows what a close of a slot does not: that completes at once, whatever is under way.

use std::io;
use std::io::Write;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result, is_older_than, raw};
use common::memory::forever;
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_FILES2"], show };

/// The tag of slot 0.
const TAG: u64 = 0x7a6;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut theirs) = UnixStream::pair()?;
    let registered = with_tags(&ring, &[ours.as_raw_fd(), -1], &[TAG, 0]);
    let (name, asked) = ("IORING_REGISTER_FILES2", "a socket with tag 0x7a6, and an empty slot");
    if page.call_since(name, asked, registered)?.is_none() {
        return Ok(());
    }
    let bytes = forever([0; 5]);
    let receive = opcode::Recv::new(types::Fixed(0), bytes.as_mut_ptr(), 5).build();
    // SAFETY: `bytes` is never freed, and looked at when the receive has completed.
    let receive = unsafe { page.start("RECV of slot 0", &mut ring, receive) };
    let close = opcode::Close::new(types::Fixed(0)).build();
    // SAFETY: a close points at no memory.
    unsafe { page.ask("CLOSE of slot 0", &mut ring, close) }?;
    page.saw("no tag: the receive has the socket still", ring.completion().is_empty())?;
    page.call("5 bytes arrive", theirs.write_all(b"bytes"))?;
    page.answer(&receive, &mut ring)?;
    page.saw("they were received after the close", *bytes == *b"bytes")?;
    page.arrives("now the slot's file is gone: its tag", &mut ring, TAG);

    let why = "an empty slot has no file that could go: no tag for it";
    let other = IoUring::new(4)?;
    page.call_refused("a tag for -1", with_tags(&other, &[-1], &[TAG]), Errno::EINVAL, why)?;
    let again = with_tags(&ring, &[-1], &[0]);
    page.call_refused("another table", again, Errno::EBUSY, "there is a table already")?;
    if is_older_than("5.19") {
        return page.lacks("IORING_RSRC_REGISTER_SPARSE");
    }
    let all = other.submitter().register_files_sparse((1 << 20) + 1);
    let why = "a table is bound by RLIMIT_NOFILE, and by 1048576";
    page.call_refused("1048577 empty slots", all, Errno::EMFILE, why)
}
// ANCHOR_END: show

/// `struct io_uring_rsrc_register`.
#[repr(C)]
struct Resources {
    number: u32,
    flags: u32,
    resv2: u64,
    data: *const RawFd,
    tags: *const u64,
}

/// `io_uring_register_files_tags`, which the crate does not have.
pub(super) fn with_tags(ring: &IoUring, files: &[RawFd], tags: &[u64]) -> io::Result<u32> {
    assert_eq!(files.len(), tags.len(), "a tag for each file");
    let (data, tags) = (files.as_ptr(), tags.as_ptr());
    let resources = Resources { number: files.len() as u32, flags: 0, resv2: 0, data, tags };
    let (call, size) = (call("REGISTER_FILES2"), size_of::<Resources>() as u32);
    // SAFETY: the call reads the structure and both arrays, which are that long, and keeps none.
    unsafe { raw::register(ring.as_raw_fd(), call, &resources, size) }
}
