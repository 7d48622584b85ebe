//! READ_FIXED: read into a registered buffer.
//!
//! Since 5.1. Stands for READ; liburing: `io_uring_prep_read_fixed`; crate: `opcode::ReadFixed`.
//! Takes what READ takes, and the number of a registered buffer that the memory lies in: the whole
//! of it or a part. Returns how many bytes came.
//! Registering pins the pages once (`IORING_REGISTER_BUFFERS`), so that no read has to look them
//! up, pin and release them. That pays where the device writes to them itself (O_DIRECT); from the
//! page cache it is a copy like any other.

use std::fs::{self, File};
use std::os::fd::AsRawFd;

use atlas::{Entry, Page, Result};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_READ_FIXED"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let path = page.scratch()?.path("digits");
    fs::write(&path, "0123456789")?;
    let file = File::open(&path)?;
    let fd = Fd(file.as_raw_fd());
    // Before the ring, and so dropped after it.
    let mut bytes = [0_u8; 64];
    let memory = bytes.as_mut_ptr();
    let mut ring = IoUring::new(4)?;
    let buffer = libc::iovec { iov_base: memory.cast(), iov_len: bytes.len() };
    // SAFETY: `bytes` outlives the ring.
    let registered = unsafe { ring.submitter().register_buffers(&[buffer]) };
    page.call("IORING_REGISTER_BUFFERS of 64 bytes", registered)?;

    let read = |at: usize, length| {
        opcode::ReadFixed::new(fd, memory.wrapping_add(at), length, 0).offset(4).build()
    };
    // SAFETY: the kernel writes to `bytes`, which is not used meanwhile.
    unsafe { page.ask("READ_FIXED of the file at 4, to its byte 32", &mut ring, read(32, 3)) }?;
    page.saw("bytes 32 to 34 are \"456\"", bytes[32..36] == *b"456\0")?;
    let beyond = "the registered buffer ends at byte 64";
    // SAFETY: the kernel refuses to write beyond the buffer.
    unsafe {
        page.refused(
            "READ_FIXED to byte 60, 8 bytes",
            &mut ring,
            read(60, 8),
            Errno::EFAULT,
            beyond,
        )?;
        page.refused("READ_FIXED to byte 64", &mut ring, read(64, 1), Errno::EFAULT, beyond)?;
        let nothing = opcode::ReadFixed::new(fd, memory, 4, 1).build();
        let why = "there is one buffer, which is 0";
        page.refused("READ_FIXED to buffer 1", &mut ring, nothing, Errno::EFAULT, why)
    }
}
// ANCHOR_END: show
