//! NVME_URING_CMD_IO: read and write a disk by its own commands.
//!
//! A command of an NVMe disk's character device (`/dev/ng0n1`), since 5.19; with registered buffers
//! and polled since 6.1. Stands for ioctl(2) with NVME_IOCTL_IO64_CMD; liburing:
//! `test/io_uring_passthrough.c` makes the entry; crate: `opcode::UringCmd80`.
//! Takes the 72 bytes of a command (`struct nvme_uring_cmd`), so the ring needs SQE128 and CQE32, or
//! the mixed sizes and URING_CMD128. Goes past the file system, the page cache and the block layer's
//! queues. Returns 0, or the disk's status, which is above zero; the second half of the completion
//! is what the command itself returns.
//! Needs root. A write to a disk in this way writes over its files: this one is emulated.

use std::os::fd::AsRawFd;

use atlas::nvme::{Aligned, Disk, READ, WRITE, interrupts, interrupts_at_rest};
use atlas::{Entry, Page, Result, Where};
use common::catalog::borrowed::DEVICE_COMMANDS;
use common::memory::forever;
use io_uring::opcode::UringCmd80;
use io_uring::types::Fd;
use io_uring::{IoUring, cqueue, opcode, squeue};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &["NVME_URING_CMD_IO", "NVME_URING_CMD_IO_VEC", "IORING_URING_CMD_FIXED"],
    show,
};

type Ring = IoUring<squeue::Entry128, cqueue::Entry32>;

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let asked = "a ring with SQE128 and CQE32";
    let Some(mut ring) = page.call_since("IORING_SETUP_SQE128", asked, Ring::builder().build(4))?
    else {
        return Ok(());
    };
    let Some(disk) = Disk::find() else {
        let why = "only the emulated machine's disk is written to, as root";
        return page.cannot("NVME_URING_CMD_IO", why, Where::EmulatedMachine);
    };
    let (mut ours, mut back) = (Aligned::full_of(0x5a), Aligned::full_of(0));
    let write = command(&disk, WRITE, 2, &mut ours).build();
    let read = command(&disk, READ, 2, &mut back);
    // SAFETY: here and below, the pages outlive the calls.
    unsafe { page.ask("the command to write page 2", &mut ring, write) }?;
    page.saw("pread(2) of the disk gets it", disk.page(2)? == ours)?;
    // SAFETY: as above.
    unsafe { page.ask("the command to read page 2", &mut ring, read.build()) }?;
    page.saw("the same bytes", back == ours)?;

    let two = [1, 2].map(Aligned::full_of);
    let buffers = two.each_ref().map(|page| iovec(page, 2048));
    let mut halves = disk.transfer(WRITE, 3, buffers.as_ptr().cast());
    halves.length = 2;
    let halves = halves.build("NVME_URING_CMD_IO_VEC", &disk.namespace).build();
    // SAFETY: as above.
    unsafe { page.ask("IO_VEC: write page 3 from two buffers", &mut ring, halves) }?;
    let page_3 = disk.page(3)?;
    page.saw(
        "half from each",
        page_3.0[..2048] == two[0].0[..2048] && page_3.0[2048..] == two[1].0[2048..],
    )?;
    registered(page, &mut ring, &disk)?;
    polled(page, &disk)?;
    mistakes(page, &mut ring, &disk)
}
// ANCHOR_END: show

/// The command to read or write a page of the disk.
fn command(disk: &Disk, code: u8, number: u64, memory: &mut Aligned) -> UringCmd80 {
    let transfer = disk.transfer(code, number, memory.0.as_mut_ptr());
    transfer.build("NVME_URING_CMD_IO", &disk.namespace)
}

fn iovec(page: &Aligned, length: usize) -> libc::iovec {
    libc::iovec { iov_base: page.0.as_ptr().cast_mut().cast(), iov_len: length }
}

/// Into a registered buffer: its pages are not looked up again for each command.
fn registered(page: &mut Page, ring: &mut Ring, disk: &Disk) -> Result<()> {
    let memory = forever(Aligned([0; 4096]));
    // SAFETY: the memory is never freed.
    let registered = unsafe { ring.submitter().register_buffers(&[iovec(memory, 4096)]) };
    page.call("register_buffers", registered)?;
    let read = command(disk, READ, 2, memory).buf_index(Some(0)).build();
    let (name, asked) = ("IORING_URING_CMD_FIXED", "read page 2 into buffer 0");
    // SAFETY: as above.
    let known = unsafe { page.ask_since(name, asked, ring, read) }?;
    if known.is_some() {
        page.saw("the same bytes", memory.0 == disk.page(2)?.0)?;
        let other = command(disk, READ, 2, memory).buf_index(Some(1)).build();
        let why = "only buffer 0 is registered";
        // SAFETY: as above.
        unsafe { page.refused("read page 2 into buffer 1", ring, other, Errno::EFAULT, why) }?;
    }
    Ok(())
}

/// On a ring with IOPOLL the disk need not interrupt.
fn polled(page: &mut Page, disk: &Disk) -> Result<()> {
    let mut ring = Ring::builder().setup_iopoll().build(4)?;
    let mut back = Aligned::full_of(0);
    let (before, read) = (interrupts_at_rest()?, command(disk, READ, 2, &mut back).build());
    // SAFETY: the page outlives the call.
    unsafe { page.ask("read page 2 on a ring with IOPOLL", &mut ring, read) }?;
    page.saw("the disk interrupted no CPU", interrupts()? == before)
}

fn mistakes(page: &mut Page, ring: &mut Ring, disk: &Disk) -> Result<()> {
    let mut memory = Aligned::full_of(0);
    let beyond = command(disk, READ, 1 << 40, &mut memory).build();
    // SAFETY: here and below, the page outlives the call.
    let answer = unsafe { page.ask("read page 2^40", ring, beyond) }?;
    page.saw(
        "above zero is the disk's status: 0x80, beyond its end",
        answer.result & 0xff == 0x80,
    )?;

    let mut plain = IoUring::new(4)?;
    let code = DEVICE_COMMANDS.code("NVME_URING_CMD_IO");
    let short = opcode::UringCmd16::new(Fd(disk.namespace.as_raw_fd()), code).build();
    let why = "a command of 72 bytes needs SQE128, and CQE32";
    // SAFETY: as above.
    unsafe { page.refused("a ring without", &mut plain, short, Errno::EOPNOTSUPP, why) }?;
    let why = "the block device has no such command: /dev/ng0n1 does";
    let read = disk.transfer(READ, 2, memory.0.as_mut_ptr());
    let elsewhere = read.build("NVME_URING_CMD_IO", &disk.blocks).build();
    // SAFETY: as above.
    unsafe {
        page.refused_by_one_of(
            "/dev/nvme0n1",
            ring,
            elsewhere,
            &[Errno::EOPNOTSUPP, Errno::EINVAL],
            why,
        )
    }
}
