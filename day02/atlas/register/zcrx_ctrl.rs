//! REGISTER_ZCRX_CTRL: flush or export a zero-copy receive queue.
//!
//! Since 6.19. Takes the queue's number and what to do (`struct zcrx_ctrl`): have the kernel take
//! back what lies in the refill queue; get a descriptor by which another ring imports the queue; or
//! (7.2) have it report an event once more. liburing: `io_uring_register_zcrx_ctrl`; crate: none.
//! Events are asked for at the registration: each type comes once, as a completion, until it is
//! armed again. `ZCRX_EVENT_COPY` says that bytes were copied after all.

use std::io::{self, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::ptr;

use atlas::{Entry, Page, Result, raw};
use common::catalog::{ZCRX_CONTROLS, ZCRX_EVENT_FLAGS, ZCRX_EVENTS, ZCRX_REGISTER_FLAGS};
use io_uring::types::{Fd, io_uring_zcrx_ifq_reg};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::call;
use super::zcrx_ifq::{self, Queue};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_ZCRX_CTRL",
        "ZCRX_CTRL_FLUSH_RQ",
        "ZCRX_CTRL_EXPORT",
        "ZCRX_REG_IMPORT",
        "ZCRX_CTRL_ARM_EVENT",
        "ZCRX_EVENT_ALLOC_FAIL",
        "ZCRX_EVENT_COPY",
        "ZCRX_EVENT_DESC_FLAG_STATS",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let flushed = Control::new(0, "FLUSH_RQ").register(&IoUring::new(4)?);
    let (name, asked) = ("IORING_REGISTER_ZCRX_CTRL", "FLUSH_RQ of queue 0 of a plain ring");
    if matches!(&flushed, Err(error) if error.raw_os_error() == Some(libc::EINVAL)) {
        return page.call_since(name, asked, flushed).map(drop);
    }
    page.call_refused(asked, flushed, Errno::ENXIO, "this ring has no queue 0")?;
    let Some(ring) = zcrx_ifq::ring(page)? else { return Ok(()) };
    let mut queue = Queue::without_a_card();
    if !queue.register_or_say_why(page, &ring)? {
        return Ok(());
    }
    let id = queue.registration.zcrx_id;
    page.call("FLUSH_RQ of it", Control::new(id, "FLUSH_RQ").register(&ring))?;
    let mut export = Control::new(id, "EXPORT");
    page.call("EXPORT of it", export.register(&ring))?;
    // SAFETY: the descriptor is new and has no other owner.
    let exported = unsafe { OwnedFd::from_raw_fd(export.rest[0] as i32) };
    let Some(other) = zcrx_ifq::ring(page)? else { return Ok(()) };
    let mut import = io_uring_zcrx_ifq_reg {
        flags: ZCRX_REGISTER_FLAGS.code("IMPORT"),
        if_idx: exported.as_raw_fd() as u32,
        ..Default::default()
    };
    page.call("ZCRX_REG_IMPORT by another ring", zcrx_ifq::import(&mut import, &other))?;
    let imported = Control::new(import.zcrx_id, "FLUSH_RQ").register(&other);
    page.call("FLUSH_RQ by that ring: it has the queue too", imported)?;

    let mut unknown = Control::new(id, "EXPORT");
    unknown.operation = 99;
    let why = "there is no such thing to do";
    page.call_refused("operation 99", unknown.register(&ring), Errno::EOPNOTSUPP, why)?;
    events(page)
}
// ANCHOR_END: show

/// The `user_data` of the events of a queue.
const EVENT: u64 = 0xe7e27;

/// Receives without a card, where all bytes are copied: one event, not one each.
fn events(page: &mut Page) -> Result<()> {
    let (Some(mut ring), mut queue) = (zcrx_ifq::ring(page)?, Queue::without_a_card()) else {
        return Ok(());
    };
    let types = ["COPY", "ALLOC_FAIL"].map(|event| 1 << ZCRX_EVENTS.code(event));
    let mut wanted = Events {
        user_data: EVENT,
        types: types[0] | types[1],
        flags: ZCRX_EVENT_FLAGS.code("STATS"),
        counts_at: 4096,
        resv: [0; 9],
    };
    // `event_desc`, which came after the crate's structure.
    queue.registration.__resv[0] = (&raw mut wanted) as u64;
    let registered = queue.register(&ring);
    let asked = "a queue that reports events, and counts";
    if page.call_since("ZCRX_CTRL_ARM_EVENT", asked, registered)?.is_none() {
        return Ok(());
    }
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut peer = TcpStream::connect(listener.local_addr()?)?;
    let (ours, id) = (listener.accept()?.0, queue.registration.zcrx_id);
    let receive = opcode::RecvZc::new(Fd(ours.as_raw_fd()), 0).ifq(id).build();
    // SAFETY: the entry points at no memory; the queue's is never freed.
    let receive = unsafe { page.start("RECV_ZC", &mut ring, receive) };
    page.call("5 bytes arrive", peer.write_all(b"bytes"))?;
    page.answer(&receive, &mut ring)?;
    page.arrives("EVENT_COPY", &mut ring, EVENT);
    page.call("5 more", peer.write_all(b"bytes"))?;
    page.answer(&receive, &mut ring)?;
    let mut arm = Control::new(id, "ARM_EVENT");
    arm.rest[0] = ZCRX_EVENTS.code("COPY");
    page.call("ARM_EVENT, for EVENT_COPY", arm.register(&ring))?;
    page.call("5 more", peer.write_all(b"bytes"))?;
    page.answer(&receive, &mut ring)?;
    page.arrives("EVENT_COPY, once more", &mut ring, EVENT);
    // SAFETY: the second page has two numbers, which the kernel writes in an enter only.
    let [copies, bytes] = unsafe { (&raw const (*queue.pages).0[1]).cast::<[u64; 2]>().read() };
    page.note("counted: copies, and bytes", format!("{copies}, {bytes}"));
    page.saw("all 15 bytes were copied", (copies, bytes) == (3, 15))
}

/// `struct zcrx_event_desc`.
#[repr(C)]
struct Events {
    user_data: u64,
    types: u32,
    flags: u32,
    counts_at: u64,
    resv: [u64; 9],
}

/// `struct zcrx_ctrl`.
#[repr(C)]
struct Control {
    id: u32,
    operation: u32,
    resv: [u64; 2],
    /// The descriptor of EXPORT, or the event of ARM_EVENT.
    rest: [u32; 12],
}

impl Control {
    fn new(id: u32, short: &str) -> Control {
        Control { id, operation: ZCRX_CONTROLS.code(short), resv: [0; 2], rest: [0; 12] }
    }

    fn register(&mut self, ring: &IoUring) -> io::Result<u32> {
        let call = call("REGISTER_ZCRX_CTRL");
        // SAFETY: the call reads and writes this structure. It wants 0 as the count.
        unsafe { raw::register(ring.as_raw_fd(), call, ptr::from_mut(self), 0) }
    }
}
