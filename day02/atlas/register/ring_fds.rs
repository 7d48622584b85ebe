//! REGISTER_RING_FDS, UNREGISTER_RING_FDS: register the ring's own descriptor.
//!
//! Since 5.18. Puts the ring into a table of 16 places that the thread has; enter names it by index
//! with `IORING_ENTER_REGISTERED_RING`. liburing: `io_uring_register_ring_fd`; crate:
//! `Submitter::register_ring_fd`, for that `Submitter` only.
//! Spares the look-up of the descriptor at each enter, which counts in a program of many threads.
//! The table keeps the ring open: a thread that closes the descriptor and forgets the place keeps
//! the ring open.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use atlas::{Entry, Page, Result, raw};
use common::catalog::{ENTER_FLAGS, REGISTER_FLAGS};
use io_uring::IoUring;
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_RING_FDS",
        "IORING_UNREGISTER_RING_FDS",
        "IORING_ENTER_REGISTERED_RING",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring = IoUring::new(4)?;
    let mut place = Place::of(ring.as_raw_fd());
    let registered = place.register(&ring);
    let name = "IORING_REGISTER_RING_FDS";
    if page.call_since(name, "register the ring's descriptor", registered)?.is_none() {
        return Ok(());
    }
    page.note("its index", place.index);
    let by_index = ENTER_FLAGS.code("REGISTERED_RING");
    // SAFETY: here and below, the call takes no memory.
    let enter = |index: u32, flags| unsafe { raw::enter(index as RawFd, 0, 0, flags, 0, 0) };
    page.call("enter by index, REGISTERED_RING", enter(place.index, by_index))?;
    let why = "the place is empty";
    page.call_refused("enter by index 7", enter(7, by_index), Errno::EBADF, why)?;
    page.call_refused("enter by index 16", enter(16, by_index), Errno::EINVAL, "there are 16")?;

    let mut more: Vec<Place> = Vec::new();
    let full = loop {
        let mut next = Place::of(ring.as_raw_fd());
        match next.register(&ring) {
            Ok(_) => more.push(next),
            full => break full,
        }
    };
    page.note("times that one ring was registered", more.len() + 1);
    page.call_refused("once more", full, Errno::EBUSY, "the thread's table is full")?;
    for other in &more {
        other.unregister(ring.as_raw_fd())?;
    }
    let other = IoUring::new(4)?;
    drop(ring);
    page.call("enter by index, the descriptor closed", enter(place.index, by_index))?;
    page.call("unregister the ring's descriptor", place.unregister(other.as_raw_fd()))?;
    let gone = enter(place.index, by_index);
    page.call_refused("enter by index", gone, Errno::EBADF, "the place is empty: the ring is gone")
}
// ANCHOR_END: show

/// `struct io_uring_rsrc_update`: a place in the thread's table of rings.
#[repr(C)]
pub struct Place {
    /// Its index; -1 before it is registered means any.
    pub index: u32,
    resv: u32,
    ring: u64,
}

impl Place {
    /// A place for this ring.
    pub fn of(ring: RawFd) -> Place {
        Place { index: u32::MAX, resv: 0, ring: ring as u64 }
    }

    /// Registers the ring there.
    pub fn register(&mut self, ring: &IoUring) -> io::Result<u32> {
        let call = call("REGISTER_RING_FDS");
        // SAFETY: the call reads and writes this one structure.
        unsafe { raw::register(ring.as_raw_fd(), call, std::ptr::from_mut(self), 1) }
    }

    /// Empties the place. The call names any ring, by its descriptor.
    pub fn unregister(&self, ring: RawFd) -> io::Result<u32> {
        let place = Place { ring: 0, ..*self };
        // SAFETY: the call reads this one structure.
        unsafe { raw::register(ring, call("UNREGISTER_RING_FDS"), &place, 1) }
    }

    /// The same, by a call that names the place's own ring (6.3).
    pub fn unregister_by_index(&self) -> io::Result<u32> {
        let place = Place { ring: 0, ..*self };
        let by_index = REGISTER_FLAGS.code("USE_REGISTERED_RING");
        let call = call("UNREGISTER_RING_FDS") | by_index;
        // SAFETY: the call reads this one structure.
        unsafe { raw::register(self.index as RawFd, call, &place, 1) }
    }
}
