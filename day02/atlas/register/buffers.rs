//! REGISTER_BUFFERS, UNREGISTER_BUFFERS: pin memory for the fixed operations.
//!
//! Since 5.1. Takes an array of iovecs; liburing: `io_uring_register_buffers`; crate:
//! `Submitter::register_buffers`.
//! The kernel looks the pages up once and keeps them in memory; READ_FIXED, WRITE_FIXED and SEND_ZC
//! then name a buffer by its index. The pages count against RLIMIT_MEMLOCK on every kernel.
//! An address inside a buffer goes with its index: both must fit.

use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use atlas::{Entry, Page, Result};
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use super::{Pages, iovec};
use crate::look;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_REGISTER_BUFFERS", "IORING_UNREGISTER_BUFFERS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut memory = Box::new(Pages([[0; 4096]; 2]));
    memory.0[0][..5].copy_from_slice(b"fixed");
    let buffers = [iovec(&mut memory.0[0]), iovec(&mut memory.0[1])];
    let mut ring = IoUring::new(4)?;
    // SAFETY: here and below, `memory` outlives the ring, and is not used meanwhile.
    let registered = unsafe { ring.submitter().register_buffers(&buffers) };
    page.call("register_buffers of two pages", registered)?;
    page.saw(
        "/proc/self/fdinfo: UserBufs 2",
        look::fdinfo(&ring, "UserBufs")? == Some("2".into()),
    )?;

    let file = page.scratch()?.file("data")?;
    let write = |buffer: usize, offset: usize, len, index| -> squeue::Entry {
        let start = buffers[buffer].iov_base.cast_const().cast::<u8>().wrapping_add(offset);
        opcode::WriteFixed::new(types::Fd(file.as_raw_fd()), start, len, index).build()
    };
    // SAFETY: as above.
    unsafe { page.ask("WRITE_FIXED, 5 bytes of buffer 0", &mut ring, write(0, 0, 5, 0)) }?;
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 0)?;
    page.saw("the file has its bytes", bytes == *b"fixed")?;

    let why = "the end lies outside buffer 0";
    let past = write(0, 4094, 5, 0);
    // SAFETY: as above.
    unsafe { page.refused("5 bytes, 2 before its end", &mut ring, past, Errno::EFAULT, why) }?;
    let why = "the address is in buffer 0: index and address must fit";
    let other = write(0, 0, 5, 1);
    // SAFETY: as above.
    unsafe { page.refused("buffer 0, index 1", &mut ring, other, Errno::EFAULT, why) }?;
    // SAFETY: as above.
    let again = unsafe { ring.submitter().register_buffers(&buffers) };
    let why = "there is a table already: update it, or unregister it first";
    page.call_refused("register_buffers again", again, Errno::EBUSY, why)?;
    page.call("unregister_buffers", ring.submitter().unregister_buffers())?;
    let again = ring.submitter().unregister_buffers();
    page.call_refused("unregister_buffers again", again, Errno::ENXIO, "there is no table")?;
    over_the_limit(page, &ring, &buffers)
}
// ANCHOR_END: show

/// Registers with RLIMIT_MEMLOCK at 0: refused, unless the thread may lock any memory.
fn over_the_limit(page: &mut Page, ring: &IoUring, buffers: &[libc::iovec]) -> Result<()> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, 0, hard)?;
    // SAFETY: as in `show`.
    let registered: io::Result<()> = unsafe { ring.submitter().register_buffers(buffers) };
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    let asked = "register_buffers with RLIMIT_MEMLOCK 0";
    if look::has_capability(look::CAP_IPC_LOCK)? {
        page.call(asked, registered)?;
        page.note("why not refused", "CAP_IPC_LOCK: root is not bound by the limit");
        return Ok(());
    }
    let why = "the pages count against the limit: raise it (ulimit -l), or register less";
    page.call_refused(asked, registered, Errno::ENOMEM, why)
}
