//! FIXED_FD_INSTALL: make a descriptor for the file in a slot.
//!
//! Since 6.8. Does for a slot what dup(2) does for a descriptor; liburing:
//! `io_uring_prep_fixed_fd_install`; crate: `opcode::FixedFdInstall`.
//! Takes a slot (`IOSQE_FIXED_FILE` is set), and `IORING_FIXED_FD_NO_CLOEXEC` if the descriptor is
//! to stay open across exec. Returns the descriptor: for calls that take no slot, such as
//! ioctl(2), or for another process. Slot and descriptor are independent from then on.

use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::net::UnixStream;

use atlas::{Entry, Page, Result};
use common::catalog::INSTALL_FLAGS;
use io_uring::types::Fixed;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

pub const ENTRY: Entry =
    Entry { shows: &["IORING_OP_FIXED_FD_INSTALL", "IORING_FIXED_FD_NO_CLOEXEC"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let (ours, mut peer) = UnixStream::pair()?;
    let fd = ours.as_raw_fd();
    page.call("register it in slot 0", ring.submitter().register_files(&[fd, -1]))?;
    drop(ours);
    let install = |slot, flags| opcode::FixedFdInstall::new(Fixed(slot), flags).build();
    // SAFETY: here and below, the entry points at no memory.
    let answer = unsafe { page.ask("FIXED_FD_INSTALL of slot 0", &mut ring, install(0, 0)) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let mut stream = unsafe { UnixStream::from_raw_fd(answer.result) };
    page.saw(
        "fcntl(F_GETFD): exec closes it",
        fcntl(&stream, FcntlArg::F_GETFD)? == FdFlag::FD_CLOEXEC.bits(),
    )?;

    let asked = "FIXED_FD_INSTALL, NO_CLOEXEC";
    // SAFETY: as above.
    let answer = unsafe { page.ask(asked, &mut ring, install(0, NO_CLOEXEC)) }?;
    // SAFETY: the kernel has just made this descriptor for us.
    let inherited = unsafe { OwnedFd::from_raw_fd(answer.result) };
    page.saw("fcntl(F_GETFD): exec keeps it", fcntl(&inherited, FcntlArg::F_GETFD)? == 0)?;
    drop(inherited);

    let empty = opcode::Close::new(Fixed(0)).build();
    // SAFETY: as above.
    unsafe { page.ask("CLOSE of slot 0", &mut ring, empty) }?;
    stream.write_all(b"hello")?;
    let mut received = [0; 5];
    peer.read_exact(&mut received)?;
    page.saw("the descriptor still writes to the socket", received == *b"hello")?;

    let by_descriptor = install(stream.as_raw_fd() as u32, 0).clear_flags();
    let cloexec = install(0, libc::O_CLOEXEC as u32);
    for (asked, entry, errno, why) in [
        ("FIXED_FD_INSTALL of slot 0", install(0, 0), Errno::EBADF, "it is empty"),
        ("FIXED_FD_INSTALL of a descriptor", by_descriptor, Errno::EBADF, "dup(2) does that"),
        ("FIXED_FD_INSTALL, O_CLOEXEC", cloexec, Errno::EINVAL, "that is what it does anyway"),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, &mut ring, entry, errno, why) }?;
    }
    Ok(())
}
// ANCHOR_END: show

const NO_CLOEXEC: u32 = INSTALL_FLAGS.code("NO_CLOEXEC");
