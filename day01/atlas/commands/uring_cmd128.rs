//! URING_CMD128: a driver's command in an entry of 128 bytes.
//!
//! Since 6.19. Stands for ioctl(2), as URING_CMD does; liburing: `io_uring_prep_uring_cmd128`;
//! crate: none (`atlas::raw::uring_cmd128`).
//! For a ring whose entries have 64 bytes but for some that have 128 (`IORING_SETUP_SQE_MIXED`): 80
//! of them are the driver's. NVMe's commands need 72. A command that needs less does as well.
//! Returns the driver's result.

use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use atlas::nvme::{Aligned, Disk, READ};
use atlas::raw;
use atlas::{Ask, Entry, Page, Result, Where};
use common::catalog::{SETUP_FLAGS, SOCKET_COMMANDS};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["IORING_OP_URING_CMD128"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let asked = "a ring for entries of both sizes";
    let built = raw::ring(4, SETUP_FLAGS.code("SQE_MIXED") | SETUP_FLAGS.code("CQE_MIXED"));
    let Some(mut ring) = page.call_since("IORING_SETUP_SQE_MIXED", asked, built)? else {
        return Ok(());
    };
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    let inq = opcode::UringCmd80::new(Fd(socket.as_raw_fd()), SOCKET_COMMANDS.code("SIOCINQ"));
    let command = raw::uring_cmd128(inq.build());
    let ask = |asked: &str| Ask::new_128(asked, command.clone());
    let why = "this ring has entries of 64 bytes only";
    let narrow = ask("URING_CMD128 in a ring without SQE_MIXED").refused(Errno::EINVAL, why);
    // SAFETY: the command names no memory.
    unsafe {
        page.ask_all(&mut ring, [ask("URING_CMD128 with SIOCINQ of a socket")])?;
        page.ask_all(&mut IoUring::new(4)?, [narrow])?;
    }
    let Some(disk) = Disk::find() else {
        let why = "only the emulated machine's disk is asked, as root";
        return page.cannot("an NVMe command", why, Where::EmulatedMachine);
    };
    let (ours, mut back) = (Aligned::full_of(0x5a), Aligned::full_of(0));
    disk.blocks.write_all_at(&ours.0, 4096)?;
    let read = disk.transfer(READ, 1, back.0.as_mut_ptr());
    let read = raw::uring_cmd128(read.build("NVME_URING_CMD_IO", &disk.namespace).build());
    // SAFETY: the page outlives the calls.
    unsafe { page.ask_all(&mut ring, [Ask::new_128("URING_CMD128: an NVMe read", read)]) }?;
    page.saw("the bytes that pwrite(2) wrote", back == ours)
}
// ANCHOR_END: show
