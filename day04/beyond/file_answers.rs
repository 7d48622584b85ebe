//! What the kernel answers about files: the measurements of the chapter *Files that last*.
//!
//! ```text
//! cargo run -p day04 --example file_answers -- /var/tmp
//! ```
//!
//! It works on its own files in that folder (without one, the current one) and removes them. Each
//! line is a question and its answer; an answer that may differ in the next run or on another disk
//! begins with `~`.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::sys::mman::{MapFlags, ProtFlags, mmap_anonymous, munmap};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

const MIB: usize = 1 << 20;
const PAGE: usize = 4096;

/// Asks the kernel a few questions about files in a folder, and prints its answers
#[derive(Parser)]
struct Options {
    /// Where the files are made, and removed again
    #[arg(default_value = ".")]
    folder: PathBuf,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse().folder))
}

fn run(folder: &Path) -> Result<()> {
    let folder = folder.join(format!("file_answers.{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let answered = ask(&folder);
    fs::remove_dir_all(&folder)?;
    answered
}

fn ask(folder: &Path) -> Result<()> {
    let mut ring = ring::build_best(&RingOptions::default(), 8)?.0;
    order(&mut ring, &folder.join("order"))?;
    offsets(&mut ring, &folder.join("offsets"))?;
    direct(&mut ring, &folder.join("direct"))?;
    registered(&mut ring, &folder.join("registered"))?;
    limit(&ring)
}

/// A WRITE of 64 MiB and the FSYNC that it needs, in one submit. Which completes first?
fn order(ring: &mut IoUring, path: &Path) -> Result<()> {
    let bytes = forever(vec![7_u8; 64 * MIB]);
    let (none, link, drain) = (Flags::empty(), Flags::IO_LINK, Flags::IO_DRAIN);
    // With ASYNC each goes to a worker thread of its own at once.
    for (how, varies, write_flags, fsync_flags) in [
        ("no flag", "~", none, none),
        ("ASYNC on both", "~", Flags::ASYNC, Flags::ASYNC),
        ("ASYNC on both, IO_LINK on the WRITE", "", Flags::ASYNC | link, Flags::ASYNC),
        ("ASYNC on both, IO_DRAIN on the FSYNC", "", Flags::ASYNC, Flags::ASYNC | drain),
    ] {
        let file = File::create(path)?;
        let fd = Fd(file.as_raw_fd());
        let write = opcode::Write::new(fd, bytes.as_ptr(), bytes.len() as u32).build();
        let fsync = opcode::Fsync::new(fd).build();
        let entries = [write.flags(write_flags), fsync.flags(fsync_flags)];
        let order = complete(ring, &entries)?.into_iter();
        let order = order.map(|(nth, result)| format!("{} {result}", ["WRITE", "FSYNC"][nth]));
        let order = order.collect::<Vec<_>>().join(", then ");
        writeln!(io::stdout(), "WRITE of 64 MiB and FSYNC, {how}: {varies}{order}")?;
    }
    Ok(())
}

/// Three writes, each at the same offset.
fn offsets(ring: &mut IoUring, path: &Path) -> Result<()> {
    for (how, append, offset) in [
        ("offset 0", false, 0),
        ("offset -1, the file's own position", false, u64::MAX),
        ("offset 0 and O_APPEND", true, 0),
    ] {
        fs::write(path, "old ")?;
        let file = OpenOptions::new().append(append).write(true).open(path)?;
        for text in ["a", "b", "c"] {
            let write = opcode::Write::new(Fd(file.as_raw_fd()), text.as_ptr(), 1).offset(offset);
            complete(ring, &[write.build()])?;
        }
        writeln!(io::stdout(), "a, b and c at {how}: \"{}\"", fs::read_to_string(path)?)?;
    }
    Ok(())
}

/// What `statx(2)` says of O_DIRECT here, and what becomes of a read that does not keep to it.
fn direct(ring: &mut IoUring, path: &Path) -> Result<()> {
    fs::write(path, vec![7; 4 * PAGE])?;
    // SAFETY: all zeros is a value of this struct of integers.
    let statx = forever(unsafe { std::mem::zeroed::<libc::statx>() });
    let name = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    let name: &'static std::ffi::CStr = forever(name);
    let place = std::ptr::from_mut(statx).cast();
    let ask =
        opcode::Statx::new(Fd(libc::AT_FDCWD), name.as_ptr(), place).mask(libc::STATX_DIOALIGN);
    complete(ring, &[ask.build()])?;
    let (memory, offset) = (statx.stx_dio_mem_align, statx.stx_dio_offset_align);
    if statx.stx_mask & libc::STATX_DIOALIGN == 0 || offset == 0 {
        writeln!(io::stdout(), "O_DIRECT, the alignment by statx: ~no answer")?;
        return Ok(());
    }
    let alignment = format!("{memory} for memory, {offset} for offset and length");
    writeln!(io::stdout(), "O_DIRECT, the alignment by statx: ~{alignment}")?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
    let pages = forever(vec![0_u8; 3 * PAGE]).as_mut_ptr();
    let aligned = pages.wrapping_add(pages.align_offset(PAGE));
    let block = offset as usize;
    for (how, address, length, offset) in [
        ("a read that keeps to it", aligned, block, 0),
        ("a read to an address 1 further", aligned.wrapping_add(1), PAGE, 0),
        ("a read of one byte less", aligned, block - 1, 0),
        ("a read at an offset 1 further", aligned, block, 1),
    ] {
        let read = opcode::Read::new(Fd(file.as_raw_fd()), address, length as u32).offset(offset);
        writeln!(io::stdout(), "O_DIRECT, {how}: ~{}", complete(ring, &[read.build()])?[0].1)?;
    }
    Ok(())
}

/// A buffer that is unmapped after it was registered is still read and written: the ring has the
/// pages, whatever is mapped at the address now.
fn registered(ring: &mut IoUring, path: &Path) -> Result<()> {
    let file = File::options().read(true).write(true).create(true).truncate(true).open(path)?;
    let fd = Fd(file.as_raw_fd());
    file.write_all_at(b"from the file", 0)?;
    let page = NonZeroUsize::new(PAGE).expect("not zero");
    let (access, private) = (ProtFlags::PROT_READ | ProtFlags::PROT_WRITE, MapFlags::MAP_PRIVATE);
    // SAFETY: a mapping at an address of the kernel's choice touches no other memory.
    let memory = unsafe { mmap_anonymous(None, page, access, private) }?;
    let buffer = libc::iovec { iov_base: memory.as_ptr(), iov_len: PAGE };
    // SAFETY: the ring holds the page until `unregister_buffers`. Nothing of Rust refers to it.
    unsafe { ring.submitter().register_buffers(&[buffer]) }.context("registering a page")?;
    // SAFETY: the mapping is ours, and no reference to it is left.
    unsafe { munmap(memory, PAGE) }?;
    // SAFETY: at an address that nothing is mapped at any more, or the kernel takes another one.
    let other =
        unsafe { mmap_anonymous(NonZeroUsize::new(memory.addr().get()), page, access, private) }?;

    let address = memory.as_ptr().cast::<u8>();
    let read = opcode::ReadFixed::new(fd, address, 13, 0).build();
    let write = opcode::WriteFixed::new(fd, address, 13, 0).offset(13).build();
    writeln!(io::stdout(), "READ_FIXED to an unmapped buffer: {}", complete(ring, &[read])?[0].1)?;
    // SAFETY: it is mapped, and the kernel writes to other pages.
    let first = unsafe { other.cast::<u8>().as_ptr().read() };
    let same = if other == memory { "" } else { ", but it is elsewhere" };
    writeln!(io::stdout(), "a new page at the same address begins with: {first}{same}")?;
    writeln!(
        io::stdout(),
        "WRITE_FIXED from the unmapped buffer: {}",
        complete(ring, &[write])?[0].1
    )?;
    writeln!(io::stdout(), "the file then: \"{}\"", fs::read_to_string(path)?)?;
    // SAFETY: the mapping is ours, and no reference to it is left.
    unsafe { munmap(other, PAGE) }?;
    Ok(ring.submitter().unregister_buffers()?)
}

/// Registered memory is pinned, and counts against RLIMIT_MEMLOCK.
fn limit(ring: &IoUring) -> Result<()> {
    let bytes = forever(vec![0_u8; MIB]);
    let buffer = libc::iovec { iov_base: bytes.as_mut_ptr().cast(), iov_len: MIB };
    let (soft, hard) = getrlimit(Resource::RLIMIT_MEMLOCK)?;
    setrlimit(Resource::RLIMIT_MEMLOCK, soft.min(64 << 10), hard)?;
    // SAFETY: the memory is never freed.
    let answer = unsafe { ring.submitter().register_buffers(&[buffer]) };
    setrlimit(Resource::RLIMIT_MEMLOCK, soft, hard)?;
    let answer = answer.map_or_else(|error| error.to_string(), |()| "granted".into());
    writeln!(io::stdout(), "registering 1 MiB with RLIMIT_MEMLOCK at 64 KiB: {answer}")?;
    Ok(())
}

/// Submits the entries at once and waits for all of them. Which ones completed, by their place
/// here, and with what result, in the order of their completions.
fn complete(ring: &mut IoUring, entries: &[Entry]) -> Result<Vec<(usize, String)>> {
    for (nth, entry) in entries.iter().enumerate() {
        // SAFETY: the entries of this program point at memory that is never freed, at texts of
        // the program, or at registered pages, which the ring holds. Nobody uses it meanwhile.
        unsafe { ring.submission().push(&entry.clone().user_data(nth as u64)) }?;
    }
    while let Err(error) = ring.submit_and_wait(entries.len()) {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error.into());
        }
    }
    let answers = ring.completion().map(|completion| {
        let result = completion.result();
        let words =
            if result < 0 { format!("{:?}", Errno::from_raw(-result)) } else { result.to_string() };
        (completion.user_data() as usize, words)
    });
    Ok(answers.collect())
}
