//! IOSQE_IO_LINK: the next entry starts when this one has succeeded.
//!
//! Since 5.3. liburing: `io_uring_sqe_set_flags`; crate: `squeue::Flags::IO_LINK`.
//! Entries with this flag and the one after them are a chain; only within a chain is there an
//! order. If one fails, or transfers less than it was asked to (READ, WRITE, SPLICE; a RECV or SEND
//! only with `MSG_WAITALL`), the rest completes with ECANCELED. If the kernel refuses an entry at
//! the submit, the whole chain completes with ECANCELED, also the entries before it. A chain ends
//! with the submit: what is submitted later is not part of it.

use std::os::fd::AsRawFd;

use atlas::{Ask, Entry, Page, Result};
use io_uring::squeue::{self, Flags};
use io_uring::types::{DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_IO_LINK"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let scratch = page.scratch()?;
    let file = scratch.file("log")?;
    let (fd, text, mut buffer) = (Fd(file.as_raw_fd()), b"hello", [0; 16]);
    let write = opcode::Write::new(fd, text.as_ptr(), 5).build().flags(Flags::IO_LINK);
    let mut read = |len| opcode::Read::new(fd, buffer.as_mut_ptr(), len).build();
    let chain = [
        Ask::new("WRITE of 5 bytes", write),
        Ask::new("FSYNC", opcode::Fsync::new(fd).build().flags(Flags::IO_LINK)),
        Ask::new("READ of 5 bytes", read(5)),
    ];
    // SAFETY: here and below, the call waits until all are done with the memory.
    let answers = unsafe { page.ask_all(&mut ring, chain) }?;
    let in_order = answers.iter().map(|answer| answer.result).eq([5, 0, 5]);
    page.saw(
        "they came in order, and the READ got the bytes",
        in_order && buffer.starts_with(text),
    )?;

    let mut read = |len| opcode::Read::new(fd, buffer.as_mut_ptr(), len).build();
    let why = "the READ got 5 of 16 bytes, which breaks a link";
    let chain = [
        Ask::new("READ of 16 bytes", read(16).flags(Flags::IO_LINK)),
        nop("NOP linked to it").refused(Errno::ECANCELED, why),
    ];
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, chain) }?;

    open_read_close(page, &mut ring, &scratch.c_path("log")?)?;
    mistakes(page, &mut ring)
}
// ANCHOR_END: show

fn nop(asked: &str) -> Ask<squeue::Entry> {
    Ask::new(asked, opcode::Nop::new().build())
}

/// Three operations on a file that is not open yet: they meet in a slot (since 5.18).
fn open_read_close(page: &mut Page, ring: &mut IoUring, path: &std::ffi::CStr) -> Result<()> {
    if !ring.params().is_feature_linked_file() {
        return Ok(());
    }
    ring.submitter().register_files(&[-1])?;
    let mut buffer = [0; 5];
    let slot = DestinationSlot::try_from_slot_target(0).expect("a small number");
    let open = opcode::OpenAt::new(Fd(libc::AT_FDCWD), path.as_ptr()).file_index(Some(slot));
    let read = opcode::Read::new(Fixed(0), buffer.as_mut_ptr(), 5);
    let chain = [
        Ask::new("OPENAT into slot 0", open.build().flags(Flags::IO_LINK)),
        Ask::new("READ by slot 0", read.build().flags(Flags::IO_LINK)),
        Ask::new("CLOSE of slot 0", opcode::Close::new(Fixed(0)).build()),
    ];
    // SAFETY: as above.
    unsafe { page.ask_all(ring, chain) }?;
    page.saw("one submit opened, read and closed the file", &buffer == b"hello")
}

fn mistakes(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let linked_nop = || opcode::Nop::new().build().flags(Flags::IO_LINK);
    let bad_close = || opcode::Close::new(Fd(-1)).build();
    let no_time = opcode::Timeout::new(std::ptr::null()).build();
    let never = "the kernel refused an entry of its chain, so it never began";
    let refused = [
        Ask::new("NOP", linked_nop()).refused(Errno::ECANCELED, never),
        Ask::new("TIMEOUT without a time", no_time).refused(Errno::EFAULT, "no Timespec there"),
    ];
    let broken = [
        Ask::new("NOP", linked_nop()),
        Ask::new("CLOSE of descriptor -1", bad_close().flags(Flags::IO_LINK))
            .refused(Errno::EBADF, "nothing is open there"),
        nop("NOP linked to it").refused(Errno::ECANCELED, "the CLOSE before it failed"),
    ];
    // SAFETY: as above.
    unsafe {
        page.ask_all(ring, refused)?;
        page.ask_all(ring, broken)?;
        let alone = bad_close().flags(Flags::IO_LINK);
        let why = "nothing is open there";
        page.refused("CLOSE of descriptor -1, linked", ring, alone, Errno::EBADF, why)?;
        page.ask_all(ring, [nop("NOP in the next submit, no part of the chain")])?;
    }
    Ok(())
}
