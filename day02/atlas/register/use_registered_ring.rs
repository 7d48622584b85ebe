//! USE_REGISTERED_RING: a register call names the ring by its index.
//!
//! Since 6.3 (`IORING_FEAT_REG_REG_RING`). A bit beside the call's number; liburing sets it by
//! itself, the crate on the `Submitter` that registered the ring.
//! With it a ring needs no descriptor at all, once it is registered.

use std::os::fd::{AsRawFd, RawFd};
use std::ptr;

use atlas::{Entry, Page, Result, raw};
use common::catalog::REGISTER_FLAGS;
use io_uring::IoUring;
use nix::errno::Errno;

use super::call;
use super::ring_fds::Place;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_USE_REGISTERED_RING"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring = IoUring::new(4)?;
    let mut place = Place::of(ring.as_raw_fd());
    let registered = place.register(&ring);
    if page.call_since("IORING_REGISTER_RING_FDS", "register the ring", registered)?.is_none() {
        return Ok(());
    }
    let by_index = REGISTER_FLAGS.code("USE_REGISTERED_RING");
    let slot: RawFd = -1;
    let files = |index: RawFd, flags| {
        // SAFETY: the call reads one descriptor.
        unsafe { raw::register(index, call("REGISTER_FILES") | flags, ptr::from_ref(&slot), 1) }
    };
    let index = place.index as RawFd;
    let asked = "register_files of the ring by index";
    let name = "IORING_REGISTER_USE_REGISTERED_RING";
    if page.call_since(name, asked, files(index, by_index))?.is_some() {
        let again = files(ring.as_raw_fd(), 0);
        let why = "it is the same ring: it has a table now";
        page.call_refused("register_files of it by descriptor", again, Errno::EBUSY, why)?;
        let empty = files(index + 1, by_index);
        page.call_refused("by the next index", empty, Errno::EBADF, "the place is empty")?;
        let outside = files(16, by_index);
        page.call_refused("by index 16", outside, Errno::EINVAL, "there are 16, from 0 on")?;
    }
    place.unregister(ring.as_raw_fd())?;
    Ok(())
}
// ANCHOR_END: show
