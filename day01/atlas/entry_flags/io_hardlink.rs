//! IOSQE_IO_HARDLINK: the next entry starts when this one is done, whatever its result.
//!
//! Since 5.5. liburing: `io_uring_sqe_set_flags`; crate: `squeue::Flags::IO_HARDLINK`.
//! A chain as with `IOSQE_IO_LINK`, that errors and short transfers do not break. Each entry
//! chooses its own kind of link, so one chain can have both. An entry that the kernel refuses when
//! it is submitted still ends the whole chain.

use std::os::fd::AsRawFd;

use atlas::{Ask, Entry, Page, Result};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_IO_HARDLINK"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let file = page.scratch()?.file("short")?;
    let mut buffer = [0; 16];
    let nop = || opcode::Nop::new().build();
    let closed = || opcode::Close::new(Fd(-1)).build();
    let nothing = "nothing is open there";

    let read = opcode::Read::new(Fd(file.as_raw_fd()), buffer.as_mut_ptr(), 16).build();
    let chain = [
        Ask::new("READ of an empty file", read.flags(Flags::IO_HARDLINK)),
        Ask::new("CLOSE of descriptor -1", closed().flags(Flags::IO_HARDLINK))
            .refused(Errno::EBADF, nothing),
        Ask::new("NOP hard-linked to it", nop()),
    ];
    // SAFETY: here and below, the call waits until all are done with the memory.
    let answers = unsafe { page.ask_all(&mut ring, chain) }?;
    let in_order = answers.iter().map(|answer| answer.result).eq([0, -libc::EBADF, 0]);
    page.saw("they came in order, whatever the one before returned", in_order)?;

    let chain = [
        Ask::new("CLOSE of descriptor -1, hard-linked", closed().flags(Flags::IO_HARDLINK))
            .refused(Errno::EBADF, nothing),
        Ask::new("CLOSE of descriptor -1, linked", closed().flags(Flags::IO_LINK))
            .refused(Errno::EBADF, nothing),
        Ask::new("NOP", nop()).refused(Errno::ECANCELED, "the link before it is a soft one"),
    ];
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, chain) }?;

    let no_time = opcode::Timeout::new(std::ptr::null()).build();
    let never = "the kernel refused an entry of its chain, so it never began";
    let chain = [
        Ask::new("NOP", nop().flags(Flags::IO_HARDLINK)).refused(Errno::ECANCELED, never),
        Ask::new("TIMEOUT without a time", no_time.flags(Flags::IO_HARDLINK))
            .refused(Errno::EFAULT, "no Timespec there"),
        Ask::new("NOP", nop()).refused(Errno::ECANCELED, never),
    ];
    // SAFETY: as above.
    unsafe { page.ask_all(&mut ring, chain) }.map(drop)
}
// ANCHOR_END: show
