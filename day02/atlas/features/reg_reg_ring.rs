//! FEAT_REG_REG_RING: register calls take a registered ring's index.
//!
//! Since 6.3. See USE_REGISTERED_RING: with the feature, a ring that is registered needs its
//! descriptor no more.

use std::os::fd::{AsRawFd, RawFd};

use atlas::{Entry, Page, Result, raw};
use common::catalog::{FEATURES, REGISTER_FLAGS, REGISTER_OPERATIONS};
use nix::errno::Errno;

use super::ring_with;
use crate::register::Place;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_REG_REG_RING"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_REG_REG_RING";
    let bit = FEATURES.code("REG_REG_RING");
    let has = |params: &io_uring::Parameters| raw::features(params) & bit != 0;
    let Some(ring) = ring_with(page, name, has)? else { return Ok(()) };
    let mut place = Place::of(ring.as_raw_fd());
    page.call("register the ring's descriptor", place.register(&ring))?;
    drop(ring);
    let index = place.index as RawFd;
    let files = |flags: u32| {
        let call = REGISTER_OPERATIONS.code("REGISTER_FILES") | flags;
        // SAFETY: the call reads one descriptor.
        unsafe { raw::register(index, call, &-1, 1) }
    };
    let by_index = REGISTER_FLAGS.code("USE_REGISTERED_RING");
    page.call("register_files by index, the descriptor closed", files(by_index))?;
    let why = "the ring has its table: it lives on without a descriptor";
    page.call_refused("register_files by index, again", files(by_index), Errno::EBUSY, why)?;
    page.call("unregister it, by its own index", place.unregister_by_index())?;
    page.call_refused("register_files by index", files(by_index), Errno::EBADF, "the ring is gone")
}
// ANCHOR_END: show
