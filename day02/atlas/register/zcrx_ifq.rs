//! REGISTER_ZCRX_IFQ: take a card's receive queue for zero-copy receives.
//!
//! Since 6.15, for CAP_NET_ADMIN, on a ring with DEFER_TASKRUN and CQE32 (or CQE_MIXED, 6.18). Takes
//! an area that bytes arrive in, and a refill queue by which the program gives its parts back;
//! liburing: `io_uring_register_ifq`; crate: `Submitter::register_ifq`.
//! The card writes straight into the program's memory; RECV_ZC tells where. Needs a card that splits
//! headers from data. Since 7.1 there is `ZCRX_REG_NODEV`, without a card: the kernel copies.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use atlas::{Entry, Page, Result, Where, raw};
use common::catalog::SETUP_FLAGS;
use common::memory::forever;
use io_uring::IoUring;
use nix::errno::Errno;

use super::{Pages, call};
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_REGISTER_ZCRX_IFQ"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let Some(ring) = ring(page)? else { return Ok(()) };
    let mut receive = Receive::new(0);
    receive.queue.interface = 1_000_000;
    let registered = receive.register(&ring);
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
    let plain = Receive::new(0).register(&IoUring::new(4)?);
    let why = "it needs DEFER_TASKRUN, and CQE32 or CQE_MIXED";
    page.call_refused("a queue on a plain ring", plain, Errno::EINVAL, why)?;
    if let Some(receive) = without_a_card(page, &ring)? {
        page.note("its number, for RECV_ZC", receive.queue.id);
        page.note(
            "head and tail of the refill queue at",
            format!("{:?}", &receive.queue.offsets[..2]),
        );
        page.saw("the kernel wrote the entries of the refill queue", receive.queue.entries == 16)?;
        page.saw("and a token for the area", receive.area.token == 0)?;
    }
    Ok(())
}
// ANCHOR_END: show

/// `ZCRX_REG_IMPORT` and `ZCRX_REG_NODEV`.
const IMPORT: u32 = 1;
const NODEV: u32 = 2;

/// A ring that can have such a queue.
pub(super) fn ring(page: &mut Page) -> Result<Option<IoUring>> {
    let flags = ["SINGLE_ISSUER", "DEFER_TASKRUN", "CQE_MIXED"];
    let flags = flags.iter().fold(0, |flags, flag| flags | SETUP_FLAGS.code(flag));
    let asked = "a ring with DEFER_TASKRUN, CQE_MIXED";
    page.call_since("IORING_SETUP_CQE_MIXED", asked, raw::ring(4, flags))
}

/// Registers a queue without a card, or says why that cannot be.
pub(super) fn without_a_card(page: &mut Page, ring: &IoUring) -> Result<Option<Box<Receive>>> {
    let mut receive = Receive::new(NODEV);
    let registered = receive.register(ring);
    if is_error(&registered, Errno::EINVAL) {
        let why = "needs Linux 7.1, or a kernel that is built with it";
        page.cannot("a queue without a card (ZCRX_REG_NODEV)", why, Where::EmulatedMachine)?;
        return Ok(None);
    }
    page.call("a queue without a card, ZCRX_REG_NODEV", registered)?;
    Ok(Some(receive))
}

fn is_error<T>(result: &io::Result<T>, errno: Errno) -> bool {
    matches!(result, Err(error) if error.raw_os_error() == Some(errno as i32))
}

/// What the call takes: `struct io_uring_zcrx_ifq_reg` and the two that it points at.
pub(super) struct Receive {
    pub queue: Queue,
    region: [u64; 8],
    area: Area,
}

/// `struct io_uring_zcrx_ifq_reg`.
#[repr(C)]
#[derive(Default)]
pub(super) struct Queue {
    pub interface: u32,
    number: u32,
    entries: u32,
    flags: u32,
    area: u64,
    region: u64,
    offsets: [u32; 8],
    pub id: u32,
    buffer_length: u32,
    resv: [u64; 3],
}

/// `struct io_uring_zcrx_area_reg`.
#[repr(C)]
#[derive(Default)]
struct Area {
    address: u64,
    length: u64,
    token: u64,
    flags: u32,
    dmabuf: u32,
    resv: [u64; 2],
}

impl Receive {
    /// Sixteen pages to receive into, and a page for the refill queue. Both are never freed.
    pub fn new(flags: u32) -> Box<Receive> {
        let pages = forever(Pages([[0; 4096]; 16])).0.as_mut_ptr() as u64;
        let area = Area { address: pages, length: 16 * 4096, ..Area::default() };
        // `struct io_uring_region_desc`: address, size, flags (TYPE_USER), and others.
        let mut region = [0; 8];
        region[..3].copy_from_slice(&[
            forever(Pages([[0; 4096]; 2])).0.as_mut_ptr() as u64,
            8192,
            1,
        ]);
        let queue = Queue { entries: 16, flags, ..Queue::default() };
        Box::new(Receive { queue, region, area })
    }

    /// A queue of another ring, by the descriptor that it was exported as.
    pub fn import(exported: RawFd) -> Box<Receive> {
        let mut receive = Receive::new(IMPORT);
        receive.queue = Queue { interface: exported as u32, flags: IMPORT, ..Queue::default() };
        receive
    }

    pub fn register(&mut self, ring: &IoUring) -> io::Result<u32> {
        if self.queue.flags & IMPORT == 0 {
            self.queue.area = (&raw mut self.area) as u64;
            self.queue.region = (&raw mut self.region) as u64;
        }
        let call = call("REGISTER_ZCRX_IFQ");
        // SAFETY: the call reads and writes the three structures; the memory is never freed.
        unsafe { raw::register(ring.as_raw_fd(), call, std::ptr::from_mut(&mut self.queue), 1) }
    }
}
