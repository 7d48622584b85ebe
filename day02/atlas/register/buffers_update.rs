//! REGISTER_BUFFERS_UPDATE: replace pinned buffers.
//!
//! Since 5.13. liburing: `io_uring_register_buffers_update_tag`; crate:
//! `Submitter::register_buffers_update`.
//! Takes the first place, iovecs and tags. An operation that is under way goes on with the old
//! buffer: its memory is the program's again when its tag arrives, not when the update returns. An
//! iovec of null and length 0 empties a place.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::{Pages, iovec};

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_BUFFERS_UPDATE"], show };

/// The tags of the two buffers.
const TAGS: [u64; 2] = [0x7a60, 0x7a61];

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut memory = Box::new(Pages([[0; 4096]; 2]));
    let [old, new] = &mut memory.0;
    let (start, buffers) = (old.as_mut_ptr(), [iovec(old), iovec(new)]);
    let mut ring = IoUring::new(4)?;
    // SAFETY: here and below, `memory` outlives the ring; it is looked at when its tag has arrived.
    let registered = unsafe { ring.submitter().register_buffers2(&buffers[..1], &TAGS[..1]) };
    let (name, asked) = ("IORING_REGISTER_BUFFERS_UPDATE", "a page, tag 0x7a60");
    if page.call_since(name, asked, registered)?.is_none() {
        return Ok(());
    }
    let (ours, mut theirs) = UnixStream::pair()?;
    let read = opcode::ReadFixed::new(types::Fd(ours.as_raw_fd()), start, 5, 0).build();
    // SAFETY: as above.
    let read = unsafe { page.start("READ_FIXED of a socket into it", &mut ring, read) };
    // SAFETY: as above.
    let update = |at, iovec: &[libc::iovec], tags| unsafe {
        ring.submitter().register_buffers_update(at, iovec, tags)
    };
    page.call("register_buffers_update: another page", update(0, &buffers[1..], Some(&TAGS[1..])))?;
    page.saw("no tag: the read still has the old page", ring.completion().is_empty())?;
    page.call("5 bytes arrive", theirs.write_all(b"bytes"))?;
    page.answer(&read, &mut ring)?;
    page.arrives("now the kernel let go of the old page", &mut ring, TAGS[0]);
    page.saw("the bytes are in the old page", memory.0[0].starts_with(b"bytes"))?;

    // SAFETY: as above.
    let update = |at, iovec: &[libc::iovec], tags| unsafe {
        ring.submitter().register_buffers_update(at, iovec, tags)
    };
    let nothing = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }];
    let why = "an empty place has nothing to let go of";
    let tagged = update(0, &nothing, Some(&TAGS[1..]));
    page.call_refused("empty place 0, with a tag", tagged, Errno::EINVAL, why)?;
    let why = "the table has one place: an update does not make it longer";
    page.call_refused("update of place 1", update(1, &buffers[1..], None), Errno::EINVAL, why)
}
// ANCHOR_END: show
