//! RECV_ZC: receive bytes where the network card has put them.
//!
//! Since 6.15. Stands for recv(2); liburing: `test/zcrx.c` makes the entry; crate: `opcode::RecvZc`.
//! Takes a socket or a slot, the number of a registered queue (`IORING_REGISTER_ZCRX_IFQ`) and a
//! length, 0 for no limit. Always a multishot. Each completion has 32 bytes: the second half says
//! where in the queue's memory the bytes are, which is the program's until it puts that place into
//! the queue's refill ring.
//! Needs CAP_NET_ADMIN, a ring with DEFER_TASKRUN and CQE32 (or CQE_MIXED), and a network card that
//! splits headers from data; since 7.1 `ZCRX_REG_NODEV` does without the card, and copies.

use std::io::Write;
use std::net::Shutdown;
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use atlas::{Entry, Page, Result, Where, is_older_than};
use common::catalog::REGISTER_OPERATIONS;
use io_uring::types::{
    Fd, IORING_MEM_REGION_TYPE_USER, IORING_ZCRX_AREA_MASK, io_uring_region_desc,
    io_uring_zcrx_area_reg, io_uring_zcrx_ifq_reg, io_uring_zcrx_rqe,
};
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous};

use crate::sockets::tcp_pair;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_RECV_ZC"], show };

type Ring = IoUring<squeue::Entry, cqueue::Entry32>;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = Ring::builder().setup_single_issuer().setup_defer_taskrun().build(8)?;
    let (ours, mut peer) = tcp_pair()?;
    let fd = Fd(ours.as_raw_fd());
    let unknown = opcode::RecvZc::new(fd, 0).build();
    let why = "no queue is registered";
    // SAFETY: here and below, the entry points at no memory.
    unsafe { page.refused("RECV_ZC of queue 0", &mut ring, unknown, Errno::EINVAL, why) }?;

    let Some(mut queue) = Queue::register(page, &ring)? else { return Ok(()) };
    let receive = opcode::RecvZc::new(fd, 0).ifq(queue.id).build();
    // SAFETY: as above.
    let receiving = unsafe { page.start("RECV_ZC", &mut ring, receive) };
    for bytes in [b"one", b"two", b"3rd", b"4th"] {
        peer.write_all(bytes)?;
        let answer = page.answer(&receiving, &mut ring)?;
        let [place, _] = answer.extra;
        let came = queue.bytes(place, answer.result as usize);
        page.saw("the peer's bytes are at the place that it names", came == bytes)?;
        page.call("give it back", queue.give_back(&ring, place, answer.result as u32))?;
    }
    peer.shutdown(Shutdown::Write)?;
    let end = page.answer(&receiving, &mut ring)?;
    page.saw("the stream's end: 0, and no MORE", end.result == 0 && !end.more())?;
    keep_all(page, &mut ring, &queue)
}
// ANCHOR_END: show

/// The mistake: to give no place back.
fn keep_all(page: &mut Page, ring: &mut Ring, queue: &Queue) -> Result<()> {
    let (ours, mut peer) = tcp_pair()?;
    let receive = opcode::RecvZc::new(Fd(ours.as_raw_fd()), 0).ifq(queue.id).build();
    // SAFETY: the entry points at no memory.
    let receiving = unsafe { page.start("RECV_ZC, no place given back", ring, receive) };
    for _ in 0..PLACES {
        peer.write_all(b"kept")?;
        page.answer(&receiving, ring)?;
    }
    peer.write_all(b"kept")?;
    let why = "all places are the program's: the kernel has none left";
    page.ended(&receiving, ring, Errno::ENOMEM, why).map(drop)
}

/// Pages to receive into.
const PLACES: usize = 2;

/// A queue without a network card: the kernel copies into its memory.
struct Queue {
    id: u32,
    memory: *const u8,
    size: usize,
    token: u64,
    refill: Refill,
}

/// The ring in which the program gives places back.
struct Refill {
    tail: *mut AtomicU32,
    entries: *mut io_uring_zcrx_rqe,
}

impl Queue {
    /// Registers it. `None`, noted on the page, if that is not possible.
    fn register(page: &mut Page, ring: &Ring) -> Result<Option<Queue>> {
        let size = PLACES << 12;
        let memory = map(size)?;
        let mut area =
            io_uring_zcrx_area_reg { addr: memory as u64, len: size as u64, ..Default::default() };
        // A page of positions, and one of entries.
        let places = map(2 << 12)?;
        let mut refill = io_uring_region_desc {
            user_addr: places as u64,
            size: 2 << 12,
            flags: IORING_MEM_REGION_TYPE_USER,
            ..Default::default()
        };
        let mut queue = io_uring_zcrx_ifq_reg {
            flags: NODEV,
            rq_entries: 64,
            area_ptr: &raw mut area as u64,
            region_ptr: &raw mut refill as u64,
            ..Default::default()
        };
        let asked = "register a queue of no network card (ZCRX_REG_NODEV)";
        let (call, operation) = (libc::SYS_io_uring_register, REGISTER_ZCRX_IFQ);
        // The crate's `register_ifq` takes a constant, and the kernel writes to it.
        // SAFETY: all three live during the call, and the memory is never unmapped.
        let registered = Errno::result(unsafe {
            libc::syscall(call, ring.as_raw_fd(), operation, &raw mut queue, 1)
        });
        let why = match registered {
            Err(Errno::EPERM) => "needs CAP_NET_ADMIN",
            Err(Errno::EINVAL) if is_older_than("7.1") => {
                "needs Linux 7.1, or a network card that splits headers from data"
            }
            registered => {
                page.call(asked, registered)?;
                // SAFETY: the kernel says where in these two pages both are.
                let refill = unsafe {
                    Refill {
                        tail: places.add(queue.offsets.tail as usize).cast(),
                        entries: places.add(queue.offsets.rqes as usize).cast(),
                    }
                };
                let (id, token) = (queue.zcrx_id, area.rq_area_token);
                return Ok(Some(Queue { id, memory, size, token, refill }));
            }
        };
        page.cannot("RECV_ZC of bytes", why, Where::EmulatedMachine)?;
        Ok(None)
    }

    /// A copy of the bytes at a place that a completion names.
    fn bytes(&self, place: u64, len: usize) -> Vec<u8> {
        let at = (place & !IORING_ZCRX_AREA_MASK) as usize;
        assert!(at.checked_add(len).is_some_and(|end| end <= self.size), "within the area");
        // SAFETY: these bytes lie in memory that is never unmapped, and the kernel does not touch
        // them before their place is given back.
        unsafe { std::slice::from_raw_parts(self.memory.add(at), len) }.to_vec()
    }
}

impl Queue {
    /// Puts a place into the refill ring, and asks the kernel to look there (6.19). For a network
    /// card the kernel looks by itself when it runs out of places; without a card it must be asked.
    fn give_back(&mut self, ring: &Ring, place: u64, len: u32) -> nix::Result<i64> {
        let place = place & !IORING_ZCRX_AREA_MASK | self.token;
        // SAFETY: the kernel reads the entries up to the tail; this one lies beyond it until the
        // store.
        unsafe {
            let tail = &*self.refill.tail;
            let at = tail.load(Ordering::Relaxed);
            let entry = self.refill.entries.add(at as usize % 64);
            entry.write(io_uring_zcrx_rqe { off: place, len, __pad: 0 });
            tail.store(at.wrapping_add(1), Ordering::Release);
        }
        // `struct zcrx_ctrl`: the queue's number, `ZCRX_CTRL_FLUSH_RQ` (0), and room.
        let mut control = [0_u64; 9];
        control[0] = self.id.into();
        let call = REGISTER_OPERATIONS.code("REGISTER_ZCRX_CTRL");
        let (number, ring) = (libc::SYS_io_uring_register, ring.as_raw_fd());
        // SAFETY: the call reads the structure, which outlives it.
        Errno::result(unsafe { libc::syscall(number, ring, call, control.as_mut_ptr(), 0) })
    }
}

/// `ZCRX_REG_NODEV` (`linux/io_uring/zcrx.h`, 7.1).
const NODEV: u32 = 2;
const REGISTER_ZCRX_IFQ: u32 = REGISTER_OPERATIONS.code("REGISTER_ZCRX_IFQ");

/// Zeroed memory for the rest of the process's life.
fn map(len: usize) -> Result<*mut u8> {
    let len = NonZeroUsize::new(len).context("some bytes")?;
    let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a fresh anonymous mapping at an address the kernel chooses overlaps nothing.
    Ok(unsafe { mmap_anonymous(None, len, access, MapFlags::MAP_PRIVATE) }?.cast().as_ptr())
}
