//! The emulated machine's NVMe disk, and commands to it.
//!
//! `cargo xtask kernels --atlas` boots with this disk. No other disk is touched, so that no entry
//! can destroy data that is needed.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};

use common::catalog::borrowed::DEVICE_COMMANDS;
use io_uring::opcode::UringCmd80;
use io_uring::types::Fd;
use nix::unistd::sync;

/// The serial number by which the disk is known.
pub const SERIAL: &str = "atlas";

/// The commands to write and to read (NVM Express, NVM Command Set Specification, section 3).
pub const WRITE: u8 = 1;
/// See [`WRITE`].
pub const READ: u8 = 2;

/// A page of memory, aligned as direct I/O needs it.
#[repr(C, align(4096))]
#[derive(Debug, PartialEq, Eq)]
pub struct Aligned(pub [u8; 4096]);

impl Aligned {
    /// A page full of one byte.
    pub fn full_of(byte: u8) -> Box<Aligned> {
        Box::new(Aligned([byte; 4096]))
    }
}

/// The disk's first part, three times.
#[derive(Debug)]
pub struct Disk {
    /// The block device, with O_DIRECT.
    pub blocks: File,
    /// The character device that takes commands for this part (`/dev/ng0n1`). Before 5.13 it did
    /// not exist: then this is the block device.
    pub namespace: File,
    /// The controller (`/dev/nvme0`).
    pub controller: File,
    block: u64,
}

impl Disk {
    /// The emulated disk, if this is the emulated machine and this user may use it.
    pub fn find() -> Option<Disk> {
        let name = part(1)?;
        let size =
            fs::read_to_string(format!("/sys/block/{name}/queue/logical_block_size")).ok()?;
        let mut options = File::options();
        options.read(true).write(true);
        let open = |name: &str| options.open(format!("/dev/{name}"));
        let namespace = open(&name.replace("nvme", "ng")).or_else(|_| open(&name)).ok()?;
        let controller = open(name.rsplit_once('n')?.0).ok()?;
        let blocks = options.custom_flags(libc::O_DIRECT).open(format!("/dev/{name}")).ok()?;
        Some(Disk { blocks, namespace, controller, block: size.trim().parse().ok()? })
    }

    /// Reads a page of the disk by pread(2).
    ///
    /// # Errors
    /// The kernel's.
    pub fn page(&self, number: u64) -> io::Result<Box<Aligned>> {
        let mut page = Aligned::full_of(0);
        self.blocks.read_exact_at(&mut page.0, number * 4096)?;
        Ok(page)
    }

    /// The command to [`READ`] or [`WRITE`] a page of the disk.
    pub fn transfer(&self, code: u8, number: u64, memory: *const u8) -> Command {
        let (first, blocks) = (number * 4096 / self.block, 4096 / self.block);
        let mut command = Command::new(code, memory, 4096);
        command.namespace = 1;
        command.arguments[..2].copy_from_slice(&[first as u32, (first >> 32) as u32]);
        command.arguments[2] = blocks as u32 - 1;
        command
    }
}

/// The name of a part of the emulated machine's disk, by its number: `nvme0n1` and so on. The
/// kernel looks for all disks at once and numbers them as they appear.
pub fn part(number: u32) -> Option<String> {
    let mut names = fs::read_dir("/sys/block").ok()?.flatten().map(|disk| disk.file_name());
    names.find_map(|name| {
        let name = name.into_string().ok().filter(|name| is_emulated(name))?;
        let its = fs::read_to_string(format!("/sys/block/{name}/nsid")).ok()?;
        (its.trim() == number.to_string()).then_some(name)
    })
}

/// Whether a disk such as `nvme0n1` is the emulated machine's.
pub fn is_emulated(disk: &str) -> bool {
    let serial = fs::read_to_string(format!("/sys/block/{disk}/device/serial"));
    serial.is_ok_and(|serial| serial.trim() == SERIAL)
}

/// As [`interrupts`], after all pending writes are done: from here on only the program's own
/// requests can interrupt.
///
/// # Errors
/// As [`interrupts`].
pub fn interrupts_at_rest() -> io::Result<u64> {
    sync();
    interrupts()
}

/// How often the emulated disk has interrupted a CPU, by `/proc/interrupts`.
///
/// # Errors
/// If that cannot be read.
pub fn interrupts() -> io::Result<u64> {
    let text = fs::read_to_string("/proc/interrupts")?;
    // " 25:   17   3   PCI-MSIX-0000:00:03.0   1-edge   nvme0q1"
    let lines = text.lines().filter(|line| line.contains("nvme0q"));
    let counts = lines.flat_map(|line| {
        line.split_whitespace().skip(1).map_while(|word| word.parse::<u64>().ok())
    });
    Ok(counts.sum())
}

/// `struct nvme_uring_cmd` (`linux/nvme_ioctl.h`), the 72 bytes of a command that the driver looks
/// at. Their meaning is the NVMe specification's.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
pub struct Command {
    /// The command.
    pub code: u8,
    flags: u8,
    resv: u16,
    /// The number of the disk within the controller.
    pub namespace: u32,
    cdw2: [u32; 2],
    metadata: u64,
    address: u64,
    metadata_length: u32,
    /// Its length in bytes; for commands with several buffers, the number of buffers.
    pub length: u32,
    /// The words 10 to 15, such as the first block in two words, and how many blocks.
    pub arguments: [u32; 6],
    timeout_ms: u32,
    resv2: u32,
}

impl Command {
    /// A command with this memory, of this many bytes.
    pub fn new(code: u8, memory: *const u8, length: u32) -> Command {
        let address = memory.expose_provenance() as u64;
        Command { code, address, length, ..Command::default() }
    }

    /// The entry's builder, by the command's name in the catalogue.
    pub fn build(self, name: &str, file: &File) -> UringCmd80 {
        let mut bytes = [0; 80];
        // SAFETY: the structure has 72 bytes, all of them numbers without gaps.
        let own = unsafe { std::mem::transmute::<Command, [u8; 72]>(self) };
        bytes[..72].copy_from_slice(&own);
        UringCmd80::new(Fd(file.as_raw_fd()), DEVICE_COMMANDS.code(name)).cmd(bytes)
    }
}
