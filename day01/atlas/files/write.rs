//! WRITE: write from one buffer.
//!
//! Since 5.6. Stands for pwrite(2) and write(2), with flags for pwritev2(2); liburing:
//! `io_uring_prep_write`; crate: `opcode::Write`.
//! Takes a descriptor or a slot, memory, an offset and `RWF_*` flags. Offset -1 is the file's own
//! position; 0, the crate's default, is the beginning, which a program that forgets the offset
//! writes over again and again. A file with O_APPEND ignores the offset: see `RWF_NOAPPEND`.
//! Returns how many bytes were written: fewer than asked for when a disk or pipe is nearly full.
//! They are in the page cache then; on the disk after FSYNC, or with `RWF_DSYNC`.
//! A worker writes even to the page cache, unless the file system can do so without a wait
//! (`FOP_BUFFER_WASYNC` in the kernel's source: XFS and Btrfs can, ext4 cannot).

use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, Ordering};

use atlas::{Ask, Entry, LeftOut, Page, Result, Where, pipe};
use common::catalog::borrowed::RW_FLAGS;
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::signal::{SigHandler, Signal, signal};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_WRITE",
        "IOSQE_CQE_SKIP_SUCCESS",
        "RWF_APPEND",
        "RWF_DSYNC",
        "RWF_NOAPPEND",
        "RWF_DONTCACHE",
        "RWF_NOSIGNAL",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let scratch = page.scratch()?;
    let file = scratch.file("log")?;
    let fd = Fd(file.as_raw_fd());
    let log = || fs::read_to_string(scratch.path("log"));
    let write = |text: &'static str| opcode::Write::new(fd, text.as_ptr(), text.len() as u32);
    let at_end = write("3").rw_flags(libc::RWF_APPEND | libc::RWF_DSYNC).build();

    // SAFETY: the kernel reads constants.
    unsafe {
        page.ask("WRITE \"1\" at 0", &mut ring, write("1").build())?;
        page.ask("WRITE \"2\" at -1", &mut ring, write("2").offset(-1_i64 as u64).build())?;
        page.saw("the file is \"2\": its own position was still 0", log()? == "2")?;
        page.ask("WRITE \"3\" with RWF_APPEND and RWF_DSYNC", &mut ring, at_end)?;
        page.saw("the file is \"23\", and on its disk", log()? == "23")?;
    }
    silent_success(page, &mut ring, fd)?;
    newer_flags(page, &mut ring, fd)?;
    broken_pipe(page, &mut ring)?;
    mistakes(page, &mut ring, fd)
}
// ANCHOR_END: show

/// A WRITE that reports only a failure, before an FSYNC that always reports.
fn silent_success(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    if !ring.params().is_feature_skip_cqe_on_success() {
        return page.lacks("IOSQE_CQE_SKIP_SUCCESS");
    }
    let write = opcode::Write::new(fd, b"0".as_ptr(), 1).build();
    let link = [
        Ask::new(
            "WRITE \"0\" with CQE_SKIP_SUCCESS, linked to",
            write.flags(Flags::SKIP_SUCCESS | Flags::IO_LINK),
        ),
        Ask::new("FSYNC", opcode::Fsync::new(fd).build()),
    ];
    // SAFETY: as in `show`.
    let answers = unsafe { page.ask_all(ring, link) }?;
    page.saw("one completion for the two of them", answers.len() == 1)?;
    let file = page.scratch()?.path("log");
    page.saw("the file is \"03\"", fs::read(file)? == b"03")
}

/// `RWF_*` flags that a kernel or a file system may lack.
fn newer_flags(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let path = page.scratch()?.path("appended");
    fs::write(&path, "1234")?;
    let file = File::options().append(true).open(&path)?;
    let write = |fd| opcode::Write::new(fd, b"0".as_ptr(), 1);
    let ignored = write(Fd(file.as_raw_fd())).build();
    // SAFETY: here and below, the kernel reads constants.
    unsafe { page.ask("WRITE \"0\" at 0 to a file with O_APPEND", ring, ignored) }?;
    page.saw("the file is \"12340\"", fs::read(&path)? == b"12340")?;
    let at_0 = write(Fd(file.as_raw_fd())).rw_flags(libc::RWF_NOAPPEND).build();
    let asked = "WRITE \"0\" with RWF_NOAPPEND to that file";
    // SAFETY: as above.
    if unsafe { page.ask_since("RWF_NOAPPEND", asked, ring, at_0) }?.is_some() {
        page.saw("the file is \"02340\"", fs::read(&path)? == b"02340")?;
    }
    let why = "since 6.14, and not every file system can";
    let lacks = LeftOut::new("RWF_DONTCACHE", why, Where::OtherMachine);
    let uncached = write(fd).rw_flags(libc::RWF_DONTCACHE).build();
    let asked = "WRITE \"0\" with RWF_DONTCACHE";
    // SAFETY: as above.
    unsafe { page.ask_unless(Errno::EOPNOTSUPP, lacks, asked, ring, uncached) }?;
    Ok(())
}

/// A pipe without a reader, and the signal that comes with the error.
fn broken_pipe(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let (reader, writer) = pipe()?;
    drop(reader);
    let write = || opcode::Write::new(Fd(writer.as_raw_fd()), b"0".as_ptr(), 1);
    let (errno, why) = (Errno::EPIPE, "it has no reader");
    // SAFETY: the handler stores to an atomic and does nothing else.
    let before = unsafe { signal(Signal::SIGPIPE, SigHandler::Handler(note_signal)) }?;
    // SAFETY: as above.
    unsafe { page.refused("WRITE to a pipe without a reader", ring, write().build(), errno, why) }?;
    let came = match SIGNAL_CAME.swap(false, Ordering::Relaxed) {
        true => "came as well",
        // As before 6.4, where pipes are always written by workers.
        false => "did not come: a worker wrote",
    };
    page.note("SIGPIPE", came);
    let silent = write().rw_flags(RW_FLAGS.code("NOSIGNAL") as i32).build();
    let asked = "WRITE to it with RWF_NOSIGNAL";
    // SAFETY: as above.
    if unsafe { page.refused_since("RWF_NOSIGNAL", asked, ring, silent, errno, why) }? {
        page.saw("no signal came", !SIGNAL_CAME.load(Ordering::Relaxed))?;
    }
    // SAFETY: it was in force before.
    unsafe { signal(Signal::SIGPIPE, before) }?;
    Ok(())
}

static SIGNAL_CAME: AtomicBool = AtomicBool::new(false);

extern "C" fn note_signal(_: libc::c_int) {
    SIGNAL_CAME.store(true, Ordering::Relaxed);
}

fn mistakes(page: &mut Page, ring: &mut IoUring, fd: Fd) -> Result<()> {
    let full = File::options().write(true).open("/dev/full")?;
    let source = File::open("/dev/null")?;
    let write = |fd| opcode::Write::new(fd, b"0".as_ptr(), 1);
    for (asked, entry, errno, why) in [
        (
            "WRITE to /dev/full",
            write(Fd(full.as_raw_fd())),
            Errno::ENOSPC,
            "a full disk answers the same",
        ),
        (
            "WRITE to a file open for reading",
            write(Fd(source.as_raw_fd())),
            Errno::EBADF,
            "O_RDWR opens it for both",
        ),
        (
            "WRITE at the largest offset",
            write(fd).offset(i64::MAX as u64),
            Errno::EINVAL,
            "the byte behind it would have no number",
        ),
        (
            "WRITE with RWF_ATOMIC",
            write(fd).rw_flags(libc::RWF_ATOMIC),
            Errno::EOPNOTSUPP,
            "that takes Linux 6.11, O_DIRECT, and a disk that can",
        ),
    ] {
        // SAFETY: as above.
        unsafe { page.refused(asked, ring, entry.build(), errno, why) }?;
    }
    Ok(())
}
