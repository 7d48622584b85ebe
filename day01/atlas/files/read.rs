//! READ: read into one buffer.
//!
//! Since 5.6. Stands for pread(2) and read(2), with flags for preadv2(2); liburing:
//! `io_uring_prep_read`; crate: `opcode::Read`.
//! Takes a descriptor or a slot, memory, an offset and `RWF_*` flags. Offset -1 is the file's own
//! position, which moves (`IORING_FEAT_RW_CUR_POS`); 0, the crate's default, is the beginning.
//! Pipes and sockets have no offset, and ignore it.
//! Returns how many bytes came: fewer than asked for at any time, 0 at the end of the file. A
//! short read counts as failed in a link.
//! If nothing is there yet, the entry waits: on a pipe without a thread, and on a disk as well if
//! the file system can do that; else a worker waits. `RWF_NOWAIT` asks for EAGAIN instead.
//! With O_DIRECT, memory, offset and length must be aligned as STATX_DIOALIGN says (see STATX).

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::ptr;

use atlas::{Ask, Entry, Page, Result, Where, pipe};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

pub const ENTRY: Entry = Entry {
    shows: &["IORING_OP_READ", "IOSQE_IO_LINK", "RWF_NOWAIT", "IORING_RW_ATTR_FLAG_PI"],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let path = page.scratch()?.path("digits");
    fs::write(&path, "0123456789")?;
    let file = File::open(&path)?;
    let fd = Fd(file.as_raw_fd());
    let mut bytes = [0; 16];
    let memory = bytes.as_mut_ptr();
    let read = |length| opcode::Read::new(fd, memory, length);
    let at_position = || read(4).offset(-1_i64 as u64).build();
    let linked = read(16).build().flags(Flags::IO_LINK);
    let too_short = "the read before it in the link was short";

    // SAFETY: the kernel writes to `bytes`, which outlives these calls.
    unsafe {
        page.ask("READ 4 bytes at 2", &mut ring, read(4).offset(2).build())?;
        page.saw("bytes 2345", bytes.starts_with(b"2345"))?;
        page.ask("READ 4 bytes at -1, the file's position", &mut ring, at_position())?;
        page.ask("READ 4 bytes at -1 again", &mut ring, at_position())?;
        page.saw("bytes 4567: the position has moved", bytes.starts_with(b"4567"))?;
        page.ask("READ at 10, the file's end", &mut ring, read(4).offset(10).build())?;
        let link = [
            Ask::new("READ 16 bytes at 0, linked to", linked),
            Ask::new("NOP", opcode::Nop::new().build()).refused(Errno::ECANCELED, too_short),
        ];
        page.ask_all(&mut ring, link)?;
    }
    without_waiting(page, &mut ring)?;
    unaligned(page, &mut ring)?;
    mistakes(page, &mut ring, fd)?;
    let why = "it takes a disk that keeps integrity data (T10 PI) beside its blocks";
    page.cannot("IORING_RW_ATTR_FLAG_PI", why, Where::OtherMachine)
}
// ANCHOR_END: show

fn without_waiting(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (empty, _writer) = pipe()?;
    let mut bytes = [0; 4];
    let read = opcode::Read::new(Fd(empty.as_raw_fd()), bytes.as_mut_ptr(), 4);
    let entry = read.rw_flags(libc::RWF_NOWAIT).build();
    let ask = Ask::new("READ of an empty pipe, with RWF_NOWAIT", entry)
        .refused(Errno::EAGAIN, "nothing is in it; without the flag, the entry waits")
        .refused(Errno::EOPNOTSUPP, "pipes know the flag since Linux 6.4");
    // SAFETY: `bytes` outlives the call.
    unsafe { page.ask_all(ring, [ask]) }.map(drop)
}

/// O_DIRECT goes from the disk to the program's memory without the page cache.
fn unaligned(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let mut options = File::options();
    let path = page.scratch()?.path("digits");
    let Ok(file) = options.read(true).custom_flags(libc::O_DIRECT).open(path) else {
        let why = "the scratch folder's file system has no O_DIRECT";
        return page.cannot("a READ with O_DIRECT", why, Where::OtherMachine);
    };
    let mut bytes = [0; 4];
    let read = opcode::Read::new(Fd(file.as_raw_fd()), bytes.as_mut_ptr(), 4).offset(1).build();
    // tmpfs has no disk, and takes it.
    let why = "its disk reads whole blocks: memory, offset and length must be aligned";
    let ask = Ask::new("READ of 4 bytes at 1 with O_DIRECT", read).or_refused(Errno::EINVAL, why);
    // SAFETY: `bytes` outlives the call.
    unsafe { page.ask_all(ring, [ask]) }.map(drop)
}

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let mut bytes = [0; 4];
    let memory = bytes.as_mut_ptr();
    let folder = File::open("/")?;
    let sink = File::options().write(true).open("/dev/null")?;
    let read = |fd| opcode::Read::new(fd, memory, 4);
    for (asked, entry, errno, why) in [
        (
            "READ at -2",
            read(fd).offset(-2_i64 as u64),
            Errno::EINVAL,
            "no offset is negative but -1, the file's position",
        ),
        (
            "READ of a folder",
            read(Fd(folder.as_raw_fd())),
            Errno::EISDIR,
            "getdents64(2) reads folders; io_uring cannot",
        ),
        (
            "READ of a file open for writing",
            read(Fd(sink.as_raw_fd())),
            Errno::EBADF,
            "O_RDWR opens it for both",
        ),
        (
            "READ to address 8",
            opcode::Read::new(fd, ptr::without_provenance_mut(8), 4),
            Errno::EFAULT,
            "the program has no memory there",
        ),
        (
            "READ with RWF_HIPRI",
            read(fd).rw_flags(libc::RWF_HIPRI),
            Errno::EINVAL,
            "rings with IOPOLL poll, without the flag; others cannot",
        ),
        (
            "READ with RWF flag 1 << 30",
            read(fd).rw_flags(1 << 30),
            Errno::EOPNOTSUPP,
            "this kernel does not know it",
        ),
    ] {
        // SAFETY: `bytes` outlives the call; at address 8 there is nothing to write to.
        unsafe { page.refused(asked, ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
