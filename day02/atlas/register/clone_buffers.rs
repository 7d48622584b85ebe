//! REGISTER_CLONE_BUFFERS: share the pinned buffers of another ring.
//!
//! Since 6.12; a part of a table, and `DST_REPLACE`, since 6.13. Takes the other ring, by
//! descriptor or (`SRC_REGISTERED`) by index; liburing: `io_uring_clone_buffers`; crate:
//! `Submitter::register_buffers_clone`, `register_buffers_clone_offset`.
//! For a program with a ring a thread: the pages are pinned and counted once. Either ring may be
//! closed first.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::FileExt;

use atlas::{Entry, Page, Result, is_older_than};
use io_uring::types::{CloneBuffersFlags, Fd};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::ring_fds::Place;
use super::{Pages, iovec};
use crate::look;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_CLONE_BUFFERS",
        "IORING_REGISTER_SRC_REGISTERED",
        "IORING_REGISTER_DST_REPLACE",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut memory = Box::new(Pages([*b"clone", [0; 5]].map(|text| padded(&text))));
    let [first, second] = &mut memory.0;
    let (start, buffers) = (first.as_ptr(), [iovec(first), iovec(second)]);
    let (source, mut ring) = (IoUring::new(4)?, IoUring::new(4)?);
    // SAFETY: `memory` outlives the rings, and is not used meanwhile.
    page.call("two buffers of ring A", unsafe { source.submitter().register_buffers(&buffers) })?;
    let cloned = ring.submitter().register_buffers_clone(source.as_raw_fd());
    let name = "IORING_REGISTER_CLONE_BUFFERS";
    if page.call_since(name, "register_buffers_clone of A to B", cloned)?.is_none() {
        return Ok(());
    }
    let two = Some("2".to_string());
    page.saw("/proc/self/fdinfo of B: UserBufs 2", look::fdinfo(&ring, "UserBufs")? == two)?;

    let why = "B has buffers: DST_REPLACE replaces them";
    let again = ring.submitter().register_buffers_clone(source.as_raw_fd());
    page.call_refused("register_buffers_clone again", again, Errno::EBUSY, why)?;
    let index = if is_older_than("6.13") {
        page.lacks("IORING_REGISTER_DST_REPLACE")?;
        0
    } else {
        replace(page, &ring, &source)?;
        1
    };

    drop(source);
    let file = page.scratch()?.file("data")?;
    let write = opcode::WriteFixed::new(Fd(file.as_raw_fd()), start, 5, index).build();
    // SAFETY: as above.
    unsafe {
        page.ask(&format!("WRITE_FIXED by B, index {index}; A is closed"), &mut ring, write)
    }?;
    page.saw("the file has the bytes of buffer 0", first_five(&file)? == *b"clone")?;
    let why = "that ring has no buffers";
    let empty = IoUring::new(4)?.submitter().register_buffers_clone(IoUring::new(4)?.as_raw_fd());
    page.call_refused("register_buffers_clone of an empty ring", empty, Errno::ENXIO, why)
}
// ANCHOR_END: show

/// Clones one buffer of a ring to place 1.
fn part(ring: &IoUring, source: RawFd, from: u32, flags: CloneBuffersFlags) -> io::Result<()> {
    ring.submitter().register_buffers_clone_offset(source, from, 1, 1, flags)
}

/// A part of a table, in place of what is there (6.13).
fn replace(page: &mut Page, ring: &IoUring, source: &IoUring) -> Result<()> {
    let replaced = part(ring, source.as_raw_fd(), 0, CloneBuffersFlags::DST_REPLACE);
    page.call("buffer 0 of A as B's buffer 1, DST_REPLACE", replaced)?;
    let past = part(ring, source.as_raw_fd(), 9, CloneBuffersFlags::DST_REPLACE);
    page.call_refused("buffer 9 of A", past, Errno::EOVERFLOW, "A has no buffer 9")?;
    // The source may be named by its place in the thread's table of rings, too.
    let (other, mut place) = (IoUring::new(4)?, Place::of(source.as_raw_fd()));
    place.register(source)?;
    let cloned = part(&other, place.index as RawFd, 0, CloneBuffersFlags::SRC_REGISTERED);
    place.unregister(source.as_raw_fd())?;
    page.call("buffer 0 of A to C, by A's index, SRC_REGISTERED", cloned)
}

fn padded(text: &[u8; 5]) -> [u8; 4096] {
    let mut page = [0; 4096];
    page[..5].copy_from_slice(text);
    page
}

fn first_five(file: &File) -> io::Result<[u8; 5]> {
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 0)?;
    Ok(bytes)
}
