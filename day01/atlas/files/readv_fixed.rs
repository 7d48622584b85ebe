//! READV_FIXED: read into several parts of a registered buffer.
//!
//! Since 6.15. Stands for READV; liburing: `io_uring_prep_readv_fixed`; crate:
//! `opcode::ReadvFixed`.
//! Takes what READV takes, and the number of a registered buffer that all parts lie in. Returns how
//! many bytes came in all.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_READV_FIXED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let path = page.scratch()?.path("message");
    fs::write(&path, "headbody")?;
    let file = File::open(&path)?;
    let fd = Fd(file.as_raw_fd());
    // Before the ring, and so dropped after it.
    let (mut bytes, mut other) = ([0_u8; 64], [0_u8; 4]);
    let part = |memory: *mut u8, length| libc::iovec { iov_base: memory.cast(), iov_len: length };
    let memory = bytes.as_mut_ptr();
    let mut ring = IoUring::new(4)?;
    // SAFETY: `bytes` outlives the ring.
    let registered = unsafe { ring.submitter().register_buffers(&[part(memory, 64)]) };
    page.call("IORING_REGISTER_BUFFERS of 64 bytes", registered)?;

    let parts = [part(memory, 4), part(memory.wrapping_add(32), 4)];
    let read = opcode::ReadvFixed::new(fd, parts.as_ptr(), 2, 0).build();
    let mixed = [part(memory, 4), part(other.as_mut_ptr(), 4)];
    let read_mixed = opcode::ReadvFixed::new(fd, mixed.as_ptr(), 2, 0).build();
    let why = "the second part is not in the registered buffer";
    // SAFETY: the lists, and what they point at, outlive the calls.
    unsafe {
        page.ask("READV_FIXED to its bytes 0 and 32", &mut ring, read)?;
        page.saw(
            "\"head\" is at 0, \"body\" at 32",
            bytes[..4] == *b"head" && bytes[32..36] == *b"body",
        )?;
        page.refused("READV_FIXED to other memory too", &mut ring, read_mixed, Errno::EFAULT, why)
    }
}
// ANCHOR_END: show
