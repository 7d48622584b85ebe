//! REGISTER_ZCRX_CTRL: flush or export a zero-copy receive queue.
//!
//! Since 6.19. Takes the queue's number and what to do (`struct zcrx_ctrl`): have the kernel take back
//! what lies in the refill queue, or get a descriptor by which another ring imports the queue.
//! Liburing: `io_uring_register_zcrx_ctrl`; crate: none, by hand.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use atlas::{Entry, Page, Result, raw};
use io_uring::IoUring;
use nix::errno::Errno;

use super::call;
use super::zcrx_ifq::{self, Receive};

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_ZCRX_CTRL"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let plain = IoUring::new(4)?;
    let flushed = Control::new(0, FLUSH).register(&plain);
    let (name, asked) = ("IORING_REGISTER_ZCRX_CTRL", "flush of queue 0 of a plain ring");
    if matches!(&flushed, Err(error) if error.raw_os_error() == Some(libc::EINVAL)) {
        return page.call_since(name, asked, flushed).map(drop);
    }
    page.call_refused(asked, flushed, Errno::ENXIO, "this ring has no queue 0")?;
    let Some(ring) = zcrx_ifq::ring(page)? else { return Ok(()) };
    let Some(receive) = zcrx_ifq::without_a_card(page, &ring)? else { return Ok(()) };
    let id = receive.queue.id;
    page.call("flush of it: nothing was given back", Control::new(id, FLUSH).register(&ring))?;
    let mut export = Control::new(id, EXPORT);
    page.call("export of it", export.register(&ring))?;
    // SAFETY: the descriptor is new and nobody else's.
    let exported = unsafe { OwnedFd::from_raw_fd(export.rest[0] as i32) };

    let Some(other) = zcrx_ifq::ring(page)? else { return Ok(()) };
    let mut import = Receive::import(exported.as_raw_fd());
    page.call("import by another ring", import.register(&other))?;
    page.note("its number there", import.queue.id);
    let why = "there is no such thing to do";
    page.call_refused("operation 99", Control::new(id, 99).register(&ring), Errno::EOPNOTSUPP, why)
}
// ANCHOR_END: show

/// `ZCRX_CTRL_FLUSH_RQ` and `ZCRX_CTRL_EXPORT`.
const FLUSH: u32 = 0;
const EXPORT: u32 = 1;

/// `struct zcrx_ctrl`.
#[repr(C)]
struct Control {
    id: u32,
    operation: u32,
    resv: [u64; 2],
    /// For EXPORT, the descriptor first.
    rest: [u32; 12],
}

impl Control {
    fn new(id: u32, operation: u32) -> Control {
        Control { id, operation, resv: [0; 2], rest: [0; 12] }
    }

    fn register(&mut self, ring: &IoUring) -> io::Result<u32> {
        let call = call("REGISTER_ZCRX_CTRL");
        // SAFETY: the call reads and writes this structure. It wants 0 as the count.
        unsafe { raw::register(ring.as_raw_fd(), call, std::ptr::from_mut(self), 0) }
    }
}
