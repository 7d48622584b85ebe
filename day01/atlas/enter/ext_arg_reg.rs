//! IORING_ENTER_EXT_ARG_REG: the argument is an offset into registered memory.
//!
//! Since 6.13. liburing: `io_uring_submit_and_wait_reg`; crate: none.
//! With `IORING_ENTER_EXT_ARG`: without that, the wait has no limit. The memory is a region
//! (`IORING_REGISTER_MEM_REGION`, with `IORING_MEM_REGION_REG_WAIT_ARG`, while the ring is
//! disabled), and holds any number of `struct io_uring_reg_wait` of 64 bytes. The kernel copies
//! nothing from the program in a wait; to change a limit, write into the region.

use std::os::fd::AsRawFd;
use std::{io, ptr};

use atlas::{Entry, Page, Result};
use common::catalog::REGISTER_OPERATIONS;
use common::memory::forever;
use io_uring::IoUring;
use nix::errno::Errno;

use super::{EXT_ARG, EXT_ARG_REG, GETEVENTS, enter};

pub const ENTRY: Entry = Entry { shows: &["IORING_ENTER_EXT_ARG_REG"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring: IoUring = IoUring::builder().setup_r_disabled().build(4)?;
    let millisecond = Limit { nanoseconds: 1_000_000, flags: HAS_TIME, ..Limit::default() };
    let limits: &Limits = forever(Limits([millisecond; 1_024]));
    let asked = "register a page of limits for waits";
    let name = "IORING_ENTER_EXT_ARG_REG";
    if page.call_since(name, asked, register(&ring, limits))?.is_none() {
        return Ok(());
    }
    ring.submitter().register_enable_rings()?;
    let wait = |offset, size| {
        let flags = GETEVENTS | EXT_ARG | EXT_ARG_REG;
        enter(ring.as_raw_fd(), 0, 1, flags, (offset, size))
    };
    let result = wait(SIZE, SIZE);
    page.call_refused("wait by limit 1, of 1 ms", result, Errno::ETIME, "the time is over")?;

    let why = "the argument is an offset into the region, which has one page";
    let behind = wait(page_size(), SIZE);
    page.call_refused("wait by the limit behind that page", behind, Errno::EFAULT, why)?;
    let address = ptr::from_ref(&limits.0[1]).expose_provenance();
    page.call_refused("wait by the limit's address", wait(address, SIZE), Errno::EFAULT, why)?;
    let why = "the size must be that of a limit, 64";
    page.call_refused("wait by 24 bytes", wait(SIZE, 24), Errno::EINVAL, why)?;
    let ring = IoUring::new(4)?;
    let result = enter(ring.as_raw_fd(), 0, 1, GETEVENTS | EXT_ARG | EXT_ARG_REG, (0, SIZE));
    let why = "this ring has no registered region";
    page.call_refused("wait on another ring", result, Errno::EFAULT, why)?;
    let why = "limits can only be registered while the ring is disabled";
    page.call_refused("register the limits there", register(&ring, limits), Errno::EINVAL, why)
}
// ANCHOR_END: show

/// `struct io_uring_reg_wait`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Limit {
    seconds: i64,
    nanoseconds: i64,
    min_wait_usec: u32,
    flags: u32,
    /// A signal mask and its size, and room for more.
    rest: [u64; 5],
}

const SIZE: usize = size_of::<Limit>();

/// At least a page of them, on any machine.
#[repr(C, align(65536))]
struct Limits([Limit; 1_024]);

/// `IORING_REG_WAIT_TS`: the limit has a time.
const HAS_TIME: u32 = 1;

/// `IORING_REGISTER_MEM_REGION` for the limits of waits, the first page of them. The kernel pins it
/// and reads it.
fn register(ring: &IoUring, limits: &'static Limits) -> io::Result<()> {
    /// `struct io_uring_region_desc`.
    #[repr(C)]
    struct Region {
        at: usize,
        size: u64,
        /// `IORING_MEM_REGION_TYPE_USER`: the memory is the program's.
        flags: u32,
        rest: [u32; 11],
    }
    /// `struct io_uring_mem_region_reg`.
    #[repr(C)]
    struct Registration {
        region: *const Region,
        /// `IORING_MEM_REGION_REG_WAIT_ARG`: it holds limits of waits.
        flags: u64,
        rest: [u64; 2],
    }
    let at = ptr::from_ref(limits).expose_provenance();
    let region = Region { at, size: page_size() as u64, flags: 1, rest: [0; 11] };
    let registration = Registration { region: &region, flags: 1, rest: [0; 2] };
    let call = REGISTER_OPERATIONS.code("REGISTER_MEM_REGION");
    // SAFETY: the kernel reads both structures in the call, and the limits are never freed.
    let done = unsafe {
        libc::syscall(libc::SYS_io_uring_register, ring.as_raw_fd(), call, &registration, 1)
    };
    Ok(Errno::result(done).map(drop)?)
}

/// Bytes of a page.
fn page_size() -> usize {
    // SAFETY: the call takes no memory.
    unsafe { libc::sysconf(libc::_SC_PAGESIZE) as usize }
}
