//! REGISTER_MEM_REGION: register memory for the arguments of waits.
//!
//! Since 6.13, once a ring; with `IORING_MEM_REGION_REG_WAIT_ARG` on a ring with R_DISABLED. Takes
//! pages of the program (`IORING_MEM_REGION_TYPE_USER`), or has the kernel bring them; liburing:
//! `io_uring_register_region`, `io_uring_submit_and_wait_reg`; crate: none.
//! A wait with `IORING_ENTER_EXT_ARG_REG` then names its timeout and signal mask by an offset into
//! that memory: the kernel need not copy them at each enter.

use std::io;
use std::os::fd::{AsRawFd, RawFd};

use atlas::{Entry, Page, Result, raw};
use common::catalog::{ENTER_FLAGS, REGION_TYPES, REGION_USES, WAIT_ARGUMENT_FLAGS};
use common::memory::forever;
use io_uring::IoUring;
use nix::errno::Errno;

use super::call;

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_REGISTER_MEM_REGION",
        "IORING_MEM_REGION_TYPE_USER",
        "IORING_MEM_REGION_REG_WAIT_ARG",
        "IORING_REG_WAIT_TS",
        "IORING_ENTER_EXT_ARG_REG",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring: IoUring = IoUring::builder().setup_r_disabled().build(4)?;
    let region = forever(Waits([NEVER; 64]));
    region.0[1] = Wait { seconds: 0, nanoseconds: 1000, ..NEVER };
    let registered = register(&ring, region, FOR_WAITS);
    let name = "IORING_REGISTER_MEM_REGION";
    if page.call_since(name, "a page of 64 arguments of waits", registered)?.is_none() {
        return Ok(());
    }
    page.call("register_enable_rings", ring.submitter().register_enable_rings())?;
    let ring_fd = ring.as_raw_fd();
    let why = "the timeout at offset 64 is 1 µs, and nothing completes";
    page.call_refused("a wait, argument at offset 64", wait(ring_fd, 64), Errno::ETIME, why)?;
    page.saw("it is longer than that on the clock", region.0[1].nanoseconds == 1000)?;

    let why = "the page ends there";
    page.call_refused("a wait, offset 4096", wait(ring_fd, 4096), Errno::EFAULT, why)?;
    let again = register(&ring, region, 0);
    page.call_refused("another region", again, Errno::EBUSY, "one a ring, and for good")?;
    let plain = IoUring::new(4)?;
    let why = "a ring that is enabled might have waits already: it needs R_DISABLED";
    let late = register(&plain, region, FOR_WAITS);
    page.call_refused("a region for waits, ring enabled", late, Errno::EINVAL, why)?;
    let why = "this ring has no region";
    page.call_refused(
        "a wait of that ring, offset 0",
        wait(plain.as_raw_fd(), 0),
        Errno::EFAULT,
        why,
    )
}
// ANCHOR_END: show

const FOR_WAITS: u64 = REGION_USES.code("REG_WAIT_ARG") as u64;

/// `struct io_uring_reg_wait`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Wait {
    seconds: u64,
    nanoseconds: u64,
    min_wait_usec: u32,
    flags: u32,
    sigmask: u64,
    sigmask_size: u32,
    pad: [u32; 3],
    pad2: [u64; 2],
}

/// A wait of an hour.
const NEVER: Wait = Wait {
    seconds: 3600,
    nanoseconds: 0,
    min_wait_usec: 0,
    flags: WAIT_ARGUMENT_FLAGS.code("TS"),
    sigmask: 0,
    sigmask_size: 0,
    pad: [0; 3],
    pad2: [0; 2],
};

/// A page of them.
#[repr(C, align(4096))]
struct Waits([Wait; 64]);

/// `struct io_uring_region_desc`.
#[repr(C)]
#[derive(Default)]
struct Region {
    user_addr: u64,
    size: u64,
    flags: u32,
    id: u32,
    mmap_offset: u64,
    resv: [u64; 4],
}

/// `io_uring_register_region`, which the crate does not have.
fn register(ring: &IoUring, waits: &mut Waits, flags: u64) -> io::Result<u32> {
    let (user_addr, size) = (std::ptr::from_mut(waits) as u64, size_of::<Waits>() as u64);
    let mut region =
        Region { user_addr, size, flags: REGION_TYPES.code("USER"), ..Region::default() };
    // `struct io_uring_mem_region_reg`: the region's address, flags, and two reserved numbers.
    let argument = [(&raw mut region) as u64, flags, 0, 0];
    // SAFETY: the call reads both structures and writes to the region. The pages are never freed.
    unsafe { raw::register(ring.as_raw_fd(), call("REGISTER_MEM_REGION"), argument.as_ptr(), 1) }
}

/// Waits for a completion with the argument at an offset into the registered memory.
fn wait(ring: RawFd, offset: usize) -> io::Result<u32> {
    let flags = ENTER_FLAGS.code("GETEVENTS")
        | ENTER_FLAGS.code("EXT_ARG")
        | ENTER_FLAGS.code("EXT_ARG_REG");
    // SAFETY: the argument is no address, and the kernel checks the offset.
    unsafe { raw::enter(ring, 0, 1, flags, offset, size_of::<Wait>()) }
}
