//! REGISTER_BUFFERS2: pin memory with tags, or make a table of empty places.
//!
//! Since 5.13; empty tables (`IORING_RSRC_REGISTER_SPARSE`) since 5.19. liburing:
//! `io_uring_register_buffers_tags`, `io_uring_register_buffers_sparse`; crate:
//! `Submitter::register_buffers2`, `register_buffers_sparse`.
//! A tag is a number of the program's own. When the kernel has really let go of the buffer (after
//! it was replaced, and after the last operation on it), it posts a completion with the tag as
//! `user_data`. Only then the memory is free. Tag 0 posts nothing. Up to 6.12 the end of the whole
//! table posts no tags.

use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

use super::{Pages, iovec};
use crate::look;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_REGISTER_BUFFERS2", "IORING_RSRC_REGISTER_SPARSE"], show };

/// The tag of the first buffer.
const TAG: u64 = 0x7a6;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut memory = Box::new(Pages([[b'x'; 4096]; 2]));
    let buffers = [iovec(&mut memory.0[0]), iovec(&mut memory.0[1])];
    let mut ring = IoUring::new(4)?;
    // SAFETY: here and below, `memory` outlives the ring, and is not used meanwhile.
    let registered = unsafe { ring.submitter().register_buffers2(&buffers, &[TAG, 0]) };
    let (name, asked) = ("IORING_REGISTER_BUFFERS2", "two pages, tags 0x7a6 and 0");
    if page.call_since(name, asked, registered)?.is_none() {
        return Ok(());
    }
    let swapped = [buffers[1], buffers[0]];
    // SAFETY: as above.
    let updated = unsafe { ring.submitter().register_buffers_update(0, &swapped, None) };
    page.call("register_buffers_update: both replaced, without tags", updated)?;
    page.arrives("the kernel let go of the first: its tag arrives", &mut ring, TAG);
    page.saw("nothing came for tag 0", ring.completion().is_empty())?;
    page.call("unregister_buffers", ring.submitter().unregister_buffers())?;

    let empty = ring.submitter().register_buffers_sparse(8);
    let name = "IORING_RSRC_REGISTER_SPARSE";
    if page.call_since(name, "a table of 8 empty places", empty)?.is_none() {
        return Ok(());
    }
    page.saw(
        "/proc/self/fdinfo: UserBufs 8",
        look::fdinfo(&ring, "UserBufs")? == Some("8".into()),
    )?;
    let file = page.scratch()?.file("data")?;
    let start = buffers[0].iov_base.cast_const().cast::<u8>();
    let write = opcode::WriteFixed::new(types::Fd(file.as_raw_fd()), start, 5, 3).build();
    let why = "place 3 is empty";
    // SAFETY: as above.
    unsafe { page.refused("WRITE_FIXED, index 3", &mut ring, write.clone(), Errno::EFAULT, why) }?;
    // SAFETY: as above.
    let filled = unsafe { ring.submitter().register_buffers_update(3, &buffers[..1], None) };
    page.call("register_buffers_update: place 3", filled)?;
    // SAFETY: as above.
    unsafe { page.ask("WRITE_FIXED, index 3", &mut ring, write) }?;

    let why = "there is a table already";
    let again = ring.submitter().register_buffers_sparse(8);
    page.call_refused("another table", again, Errno::EBUSY, why)
}
// ANCHOR_END: show
