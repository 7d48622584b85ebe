//! WRITEV_FIXED: write from several parts of a registered buffer.
//!
//! Since 6.15. Stands for WRITEV; liburing: `io_uring_prep_writev_fixed`; crate:
//! `opcode::WritevFixed`.
//! Takes what WRITEV takes, and the number of a registered buffer that all parts lie in. Returns how
//! many bytes were written in all.

use std::fs;
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_WRITEV_FIXED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let scratch = page.scratch()?;
    let file = scratch.file("message")?;
    let fd = Fd(file.as_raw_fd());
    // Before the ring, and so dropped after it.
    let bytes = *b"head (and more) body";
    let part = |bytes: &[u8]| libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast(),
        iov_len: bytes.len(),
    };
    let mut ring = IoUring::new(4)?;
    // SAFETY: `bytes` outlives the ring.
    let registered = unsafe { ring.submitter().register_buffers(&[part(&bytes)]) };
    page.call("IORING_REGISTER_BUFFERS of 20 bytes", registered)?;

    let parts = [part(&bytes[..5]), part(&bytes[16..])];
    let write = |index| opcode::WritevFixed::new(fd, parts.as_ptr(), 2, index).build();
    let why = "there is one buffer, which is 0";
    // SAFETY: the list, and what it points at, outlive the calls.
    unsafe {
        page.ask("WRITEV_FIXED of its first 5 and last 4 bytes", &mut ring, write(0))?;
        page.saw("the file is \"head body\"", fs::read(scratch.path("message"))? == b"head body")?;
        page.refused("WRITEV_FIXED from buffer 1", &mut ring, write(1), Errno::EFAULT, why)
    }
}
// ANCHOR_END: show
