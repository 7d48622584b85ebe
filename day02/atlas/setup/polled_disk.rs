//! A disk whose completions can be polled for.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use atlas::nvme::{self, Aligned};
use atlas::{Page, Result, Where};
use io_uring::{IoUring, opcode, types};
use nix::errno::Errno;

/// The first disk with poll queues that this user may read, and its name.
fn find() -> Option<(String, File)> {
    let disks = fs::read_dir("/sys/block").ok()?.flatten();
    let polled = disks.filter(|disk| {
        let says = fs::read_to_string(disk.path().join("queue/io_poll"));
        says.is_ok_and(|says| says.trim() == "1")
    });
    let mut names: Vec<_> = polled.filter_map(|disk| disk.file_name().into_string().ok()).collect();
    names.sort();
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECT);
    names.into_iter().find_map(|name| {
        let disk = options.open(format!("/dev/{name}")).ok()?;
        Some((name, disk))
    })
}

/// Reads the disk's first 4096 bytes through a ring with IOPOLL, and compares them with those of
/// pread(2). Notes it on the page if there is no such disk.
pub fn read(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let Some((name, disk)) = find() else {
        let why =
            "no disk with poll queues that this user may read (queue/io_poll is 0 in /sys/block)";
        return page.cannot("a read that is polled for", why, Where::EmulatedMachine);
    };
    let mut bytes = Aligned::full_of(0xff);
    let read = opcode::Read::new(types::Fd(disk.as_raw_fd()), bytes.0.as_mut_ptr(), 4096).build();
    // This ring is not used elsewhere.
    let before = nvme::is_emulated(&name).then(nvme::interrupts_at_rest).transpose()?;
    // SAFETY: the memory lives, and is not used elsewhere, until `ask` has the completion.
    let answer = unsafe { page.ask("READ of 4096 bytes, O_DIRECT", ring, read) }?;
    if let Some(before) = before {
        page.saw("the disk interrupted no CPU", nvme::interrupts()? == before)?;
    }
    let mut plain = Aligned::full_of(0);
    disk.read_exact_at(&mut plain.0, 0)?;
    page.saw("4096 bytes, those that pread(2) gets", answer.result == 4096 && bytes.0 == plain.0)
}

/// The refusal on such a ring: a file without O_DIRECT.
pub fn refuse_buffered(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let file = page.scratch()?.file("buffered")?;
    let mut bytes = [0; 16];
    let read = opcode::Read::new(types::Fd(file.as_raw_fd()), bytes.as_mut_ptr(), 16).build();
    let why = "a read through the page cache completes by interrupt: the file needs O_DIRECT";
    // SAFETY: the memory lives, and is not used elsewhere, until `refused` has the completion.
    unsafe { page.refused("READ of a file without O_DIRECT", ring, read, Errno::EOPNOTSUPP, why) }
}
