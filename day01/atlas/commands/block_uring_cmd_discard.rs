//! BLOCK_URING_CMD_DISCARD: tell a disk that a range is no longer needed.
//!
//! A command of block devices, since 6.12. Stands for ioctl(2) with BLKDISCARD; liburing:
//! `io_uring_prep_cmd_discard`; crate: `opcode::UringCmd16`.
//! Takes a block device that is open for writing, and a range (`addr`, `addr3`: start and length in
//! bytes). Returns 0. The disk decides what the range holds afterwards.
//! Needs root: this one is emulated.

use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use atlas::nvme::{Aligned, Disk};
use atlas::raw::Fields;
use atlas::{Entry, Page, Result, Where};
use common::catalog::borrowed::DEVICE_COMMANDS;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry { shows: &["BLOCK_URING_CMD_DISCARD"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let name = "BLOCK_URING_CMD_DISCARD";
    let Some(disk) = Disk::find() else {
        let why = "only the emulated machine's disk is written to, as root";
        return page.cannot(name, why, Where::EmulatedMachine);
    };
    let mut ring = IoUring::new(4)?;
    disk.blocks.write_all_at(&Aligned::full_of(0x5a).0, 8 * 4096)?;
    let code = DEVICE_COMMANDS.code(name);
    let discard = |start: u64, length: u64| {
        let entry = opcode::UringCmd16::new(Fd(disk.blocks.as_raw_fd()), code).build();
        entry.addr(start).addr3(length)
    };
    let asked = "DISCARD of page 8";
    // SAFETY: here and below, the command names no memory.
    let known = unsafe { page.ask_since(name, asked, &mut ring, discard(8 * 4096, 4096)) }?;
    if known.is_none() {
        return Ok(());
    }
    page.saw("this disk forgets: it holds zeros", disk.page(8)? == Aligned::full_of(0))?;

    let why = "the range must begin and end with a block";
    // SAFETY: as above.
    unsafe {
        page.refused("DISCARD from byte 1", &mut ring, discard(1, 4096), Errno::EINVAL, why)
    }?;
    let why = "the range goes beyond the disk's end";
    let beyond = discard(1 << 50, 4096);
    // SAFETY: as above.
    unsafe { page.refused("DISCARD at 1 PiB", &mut ring, beyond, Errno::EINVAL, why) }
}
// ANCHOR_END: show
