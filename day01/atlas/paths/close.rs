//! CLOSE: close a descriptor or a slot.
//!
//! Since 5.6, slots since 5.15. Stands for close(2); liburing: `io_uring_prep_close`,
//! `io_uring_prep_close_direct`; crate: `opcode::Close`.
//! Takes a descriptor, or a slot in `file_index`, counted from 1: the builder does that for
//! `types::Fixed`. Returns 0.
//! It takes the number away, not the file: an operation that is under way keeps its file open, and
//! neither ends nor fails. Cancel it first (ASYNC_CANCEL).

use std::fs::read_link;
use std::os::fd::{AsRawFd, IntoRawFd};

use atlas::raw::Fields;
use atlas::{Entry, Page, Result, pipe};
use common::memory::forever;
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, opcode, squeue};
use nix::errno::Errno;
use nix::unistd;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_CLOSE"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (reader, writer) = pipe()?;
    let reader = reader.into_raw_fd();
    let buffer = forever([0; 4]);
    let read = opcode::Read::new(Fd(reader), buffer.as_mut_ptr(), 4).build();
    // SAFETY: the buffer is never freed.
    let read = unsafe { page.start("READ of an empty pipe", &mut ring, read) };
    let close = opcode::Close::new(Fd(reader)).build();
    // SAFETY: here and below, a CLOSE points at no memory, and these descriptors have no other
    // owner.
    unsafe { page.ask("CLOSE of the descriptor that it reads", &mut ring, close) }?;
    let gone = read_link(format!("/proc/self/fd/{reader}")).is_err();
    page.saw("/proc/self/fd has it no more", gone)?;
    unistd::write(&writer, b"late")?;
    page.answer(&read, &mut ring)?;
    page.saw("the READ got what was written after the CLOSE", buffer == b"late")?;

    let table = ring.submitter().register_files(&[writer.as_raw_fd(), -1]);
    page.call("the other end in slot 0 of two", table)?;
    // SAFETY: as above.
    unsafe { page.ask("CLOSE of slot 0", &mut ring, close_slot(0)) }?;
    page.saw("the descriptor of that file is still open", unistd::write(&writer, b"").is_ok())?;
    mistakes(page, &mut ring, reader)
}
// ANCHOR_END: show

/// `closed` is a descriptor that is closed already.
fn mistakes(page: &mut Page, ring: &mut IoUring, closed: i32) -> Result<()> {
    let again = opcode::Close::new(Fd(closed)).build();
    let both = close_slot(0).fd(closed);
    let by_flag = opcode::Close::new(Fd(0)).build().flags(squeue::Flags::FIXED_FILE);
    let itself = opcode::Close::new(Fd(ring.as_raw_fd())).build();
    for (asked, entry, errno, why) in [
        ("CLOSE of slot 0 again", close_slot(0), Errno::EBADF, "it is empty"),
        ("CLOSE of slot 2 of two", close_slot(2), Errno::EINVAL, "the slots are 0 and 1"),
        (
            "CLOSE of the descriptor again",
            again,
            Errno::EBADF,
            "that closes another thread's file, if one got the number",
        ),
        (
            "CLOSE of slot 0 by IOSQE_FIXED_FILE",
            by_flag,
            Errno::EBADF,
            "the slot goes into file_index, as its number plus 1",
        ),
        ("CLOSE of a descriptor and a slot", both, Errno::EINVAL, "name one, leave the other 0"),
        ("CLOSE of the ring", itself, Errno::EBADF, "a ring closes no ring: use close(2)"),
    ] {
        // SAFETY: a CLOSE points at no memory, and the kernel refuses it.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    Ok(())
}

fn close_slot(slot: u32) -> squeue::Entry {
    opcode::Close::new(Fixed(slot)).build()
}
