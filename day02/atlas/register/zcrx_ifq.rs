//! REGISTER_ZCRX_IFQ: take a card's receive queue for zero-copy receives.
//!
//! Since 6.15, for CAP_NET_ADMIN, on a ring with DEFER_TASKRUN and CQE32 (or CQE_MIXED, 6.18).
//! Takes an area that bytes arrive in, and a refill queue by which the program gives its parts
//! back; liburing: `io_uring_register_ifq`; crate: `Submitter::register_ifq`.
//! The card writes straight into the program's memory; RECV_ZC (day 1) names the place. Needs a
//! card that splits headers from data. Since 7.1 there is `ZCRX_REG_NODEV`, without a card: the
//! kernel copies.

use std::io;
use std::os::fd::AsRawFd;
use std::ptr;

use atlas::{Entry, Page, Result, Where, raw};
use common::catalog::{REGION_TYPES, SETUP_FLAGS, ZCRX_AREA_FLAGS, ZCRX_REGISTER_FLAGS};
use common::memory::forever;
use io_uring::IoUring;
use io_uring::types::{io_uring_region_desc, io_uring_zcrx_area_reg, io_uring_zcrx_ifq_reg};
use nix::errno::Errno;

use super::{Pages, call};
use crate::look;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_REGISTER_ZCRX_IFQ", "ZCRX_REG_NODEV", "IORING_ZCRX_AREA_DMABUF"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let Some(ring) = ring(page)? else { return Ok(()) };
    let mut queue = Queue::new();
    queue.registration.if_idx = 1_000_000;
    let registered = queue.register(&ring);
    let (name, asked) = ("IORING_REGISTER_ZCRX_IFQ", "the queue of interface 1000000");
    if is_error(&registered, Errno::EINVAL) {
        return page.call_since(name, asked, registered).map(drop);
    }
    if !look::has_capability(look::CAP_NET_ADMIN)? {
        let why = "a network card's queue is for CAP_NET_ADMIN";
        page.call_refused(asked, registered, Errno::EPERM, why)?;
        return page.cannot(name, why, Where::Root);
    }
    page.call_refused(asked, registered, Errno::ENODEV, "there is no such interface")?;
    let plain = Queue::new().register(&IoUring::new(4)?);
    let why = "it needs DEFER_TASKRUN, and CQE32 or CQE_MIXED";
    page.call_refused("a queue on a plain ring", plain, Errno::EINVAL, why)?;

    let mut queue = Queue::without_a_card();
    if !queue.register_or_say_why(page, &ring)? {
        return Ok(());
    }
    let registration = &queue.registration;
    page.note("its number, for RECV_ZC", registration.zcrx_id);
    let offsets = &registration.offsets;
    let places = format!("{}, {}, {}", offsets.head, offsets.tail, offsets.rqes);
    page.note("the refill queue's head, tail and entries at", places);
    page.saw("head and tail have places of their own", offsets.head != offsets.tail)?;

    let mut dma = Queue::without_a_card();
    dma.area.flags = ZCRX_AREA_FLAGS.code("DMABUF");
    dma.area.dmabuf_fd = u32::MAX;
    let why = "without a card there is no device whose memory it could be";
    page.call_refused("an area with AREA_DMABUF", dma.register(&ring), Errno::EINVAL, why)
}
// ANCHOR_END: show

/// A ring that can have such a queue.
pub(super) fn ring(page: &mut Page) -> Result<Option<IoUring>> {
    let flags = ["SINGLE_ISSUER", "DEFER_TASKRUN", "CQE_MIXED"];
    let flags = flags.iter().fold(0, |flags, flag| flags | SETUP_FLAGS.code(flag));
    let asked = "a ring with DEFER_TASKRUN, CQE_MIXED";
    page.call_since("IORING_SETUP_CQE_MIXED", asked, raw::ring(8, flags))
}

fn is_error<T>(result: &io::Result<T>, errno: Errno) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(errno as i32))
}

/// What the call takes, and what that points at.
pub(super) struct Queue {
    pub registration: io_uring_zcrx_ifq_reg,
    area: io_uring_zcrx_area_reg,
    refill: io_uring_region_desc,
    /// The refill queue: in its second page, counts of events.
    pub pages: *mut Pages<2>,
}

impl Queue {
    /// Sixteen pages to receive into, and two for the refill queue. They are never freed.
    pub fn new() -> Box<Queue> {
        let (area, pages) = (forever(Pages([[0; 4096]; 16])), forever(Pages([[0; 4096]; 2])));
        let (area, area_size) = (ptr::from_mut(area) as u64, size_of_val(area) as u64);
        Box::new(Queue {
            registration: io_uring_zcrx_ifq_reg { rq_entries: 16, ..Default::default() },
            area: io_uring_zcrx_area_reg { addr: area, len: area_size, ..Default::default() },
            refill: io_uring_region_desc {
                user_addr: ptr::from_mut(pages) as u64,
                size: size_of_val(pages) as u64,
                flags: REGION_TYPES.code("USER"),
                ..Default::default()
            },
            pages,
        })
    }

    /// Of no card (7.1).
    pub fn without_a_card() -> Box<Queue> {
        let mut queue = Queue::new();
        queue.registration.flags = ZCRX_REGISTER_FLAGS.code("NODEV");
        queue
    }

    pub fn register(&mut self, ring: &IoUring) -> io::Result<u32> {
        self.registration.area_ptr = (&raw mut self.area) as u64;
        self.registration.region_ptr = (&raw mut self.refill) as u64;
        import(&mut self.registration, ring)
    }

    /// Registers it. Returns `false`, noted on the page, if that is not possible.
    pub fn register_or_say_why(&mut self, page: &mut Page, ring: &IoUring) -> Result<bool> {
        let registered = self.register(ring);
        let (why, seen) = match &registered {
            Err(_) if is_error(&registered, Errno::EPERM) => {
                ("for CAP_NET_ADMIN only", Where::Root)
            }
            Err(_) if is_error(&registered, Errno::EINVAL) => {
                ("needs Linux 7.1, or a kernel that is built with it", Where::EmulatedMachine)
            }
            _ => {
                page.call("a queue without a card, ZCRX_REG_NODEV", registered)?;
                return Ok(true);
            }
        };
        page.cannot("a queue without a card (ZCRX_REG_NODEV)", why, seen)?;
        Ok(false)
    }
}

/// The call itself: for a queue that is imported it takes no memory.
pub(super) fn import(registration: &mut io_uring_zcrx_ifq_reg, ring: &IoUring) -> io::Result<u32> {
    let call = call("REGISTER_ZCRX_IFQ");
    // SAFETY: the call reads and writes this structure and those that `Queue::register` has it
    // point at. The pages are never freed. (The crate's `register_ifq` takes a constant.)
    unsafe { raw::register(ring.as_raw_fd(), call, ptr::from_mut(registration), 1) }
}
