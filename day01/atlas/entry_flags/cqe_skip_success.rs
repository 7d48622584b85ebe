//! IOSQE_CQE_SKIP_SUCCESS: no completion if it succeeds.
//!
//! Since 5.17. liburing: `io_uring_sqe_set_flags`; crate: `squeue::Flags::SKIP_SUCCESS`.
//! For the entries of a chain whose last completion says enough, and for a CLOSE. A failure is
//! reported, and so is a short read. If an entry with this flag fails, the rest of its chain is
//! silent, also entries without the flag: do not wait for them. Without a completion, the program
//! does not learn when memory is free again. Not for multishots, and not with `IOSQE_IO_DRAIN` in
//! one ring.

use std::fs;
use std::os::fd::AsRawFd;

use atlas::{Ask, Entry, Page, Result};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_CQE_SKIP_SUCCESS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    if !ring.params().is_feature_skip_cqe_on_success() {
        return page.lacks("IOSQE_CQE_SKIP_SUCCESS");
    }
    let scratch = page.scratch()?;
    let file = scratch.file("log")?;
    let (fd, text) = (Fd(file.as_raw_fd()), b"written");
    let silent = Flags::SKIP_SUCCESS | Flags::IO_LINK;
    let write = opcode::Write::new(fd, text.as_ptr(), 7).build().flags(silent);
    let chain = [
        Ask::new("WRITE with CQE_SKIP_SUCCESS", write),
        Ask::new("FSYNC, linked to it", opcode::Fsync::new(fd).build()),
    ];
    // SAFETY: here and below, the memory is a constant, or the call waits for its entry.
    let answers = unsafe { page.ask_all(&mut ring, chain) }?;
    let written = fs::read(scratch.path("log"))? == text;
    page.saw("one completion for both, and the bytes are there", answers.len() == 1 && written)?;

    let mut buffer = [0; 16];
    let read = opcode::Read::new(fd, buffer.as_mut_ptr(), 16).build().flags(Flags::SKIP_SUCCESS);
    // SAFETY: a READ that gets less than it asks for has a completion.
    let answer = unsafe { page.start("READ of 16 bytes with CQE_SKIP_SUCCESS", &mut ring, read) };
    let short = page.answer(&answer, &mut ring)?;
    page.saw("it reported 7 bytes: that is less than it wanted", short.result == 7)?;

    let close = opcode::Close::new(Fd(-1)).build().flags(silent);
    let chain = [
        ("CLOSE of descriptor -1, with CQE_SKIP_SUCCESS", close),
        ("NOP, linked to it", opcode::Nop::new().build()),
    ];
    // SAFETY: neither points at memory.
    let started = unsafe { page.start_all(&mut ring, chain) };
    page.ended(&started[0], &mut ring, Errno::EBADF, "nothing is open there")?;
    page.waits(&started[1], &mut ring)
}
// ANCHOR_END: show
