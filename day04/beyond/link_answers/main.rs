//! What the kernel answers about links and drains: the measurements of *Links and drains*.
//!
//! ```text
//! cargo run -p day04 --example link_answers
//! ```
//!
//! It works on a file in the current folder, which it removes, and on pipes and sockets of its own.

use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::os::fd::IntoRawFd;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use common::environment;
use common::memory::forever;
use common::ring::{self, RingOptions};
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd::{alarm, pipe};

mod chains;
mod success;

/// The file and the pipes of the questions hold these five bytes.
const TEXT: &str = "hello";
/// What has not completed after two of these does not complete.
const QUIET: Duration = Duration::from_millis(200);

const NONE: Flags = Flags::empty();
const LINK: Flags = Flags::IO_LINK;
const HARD: Flags = Flags::IO_HARDLINK;
const SKIP: Flags = Flags::SKIP_SUCCESS;
const DRAIN: Flags = Flags::IO_DRAIN;

fn main() -> ExitCode {
    alarm::set(300);
    environment::report(env!("CARGO_BIN_NAME"), run())
}

fn run() -> Result<()> {
    // Explains it, if this machine grants no ring.
    ring::build_best(&RingOptions::default(), 2)?;
    let folder = PathBuf::from(format!("link_answers.{}", std::process::id()));
    fs::create_dir(&folder).with_context(|| folder.display().to_string())?;
    let path = folder.join("file");
    let name: &'static CString = forever(CString::new(path.as_os_str().as_encoded_bytes())?);
    let answered = fs::write(&path, TEXT)
        .map_err(Into::into)
        .and_then(|()| success::answers(&path))
        .and_then(|()| chains::answers(name));
    fs::remove_dir_all(&folder)?;
    answered
}

/// A ring with two empty slots.
struct Ring(IoUring);

impl Ring {
    fn new() -> Result<Ring> {
        let ring = IoUring::new(16)?;
        ring.submitter().register_files(&[-1, -1])?;
        Ok(Ring(ring))
    }

    /// How many of the entries the kernel took. Their `user_data` counts from `first`.
    fn submit_from(&mut self, first: u64, entries: &[Entry]) -> Result<usize> {
        for (tag, entry) in (first..).zip(entries) {
            // SAFETY: the entries of this program point at memory that is never freed, and no
            // one looks at it. Their descriptors stay open.
            unsafe { self.0.submission().push(&entry.clone().user_data(tag)) }?;
        }
        Ok(self.0.submit()?)
    }

    fn submit(&mut self, entries: &[Entry]) -> Result<usize> {
        self.submit_from(1, entries)
    }

    /// The results of this many completions.
    fn wait_for(&mut self, count: usize) -> Result<Vec<i32>> {
        while let Err(error) = self.0.submit_and_wait(count) {
            if error.kind() != ErrorKind::Interrupted {
                return Err(error.into());
            }
        }
        Ok(self.0.completion().map(|done| done.result()).collect())
    }

    /// `user_data` and result of at least so many completions, and of all that come until the
    /// ring is quiet.
    fn settle(&mut self, count: usize) -> Result<Vec<(u64, i32)>> {
        let mut all = Vec::new();
        loop {
            sleep(QUIET);
            let before = all.len();
            all.extend(self.0.completion().map(|done| (done.user_data(), done.result())));
            if all.len() == before && before >= count {
                return Ok(all);
            }
        }
    }
}

fn nop() -> Entry {
    opcode::Nop::new().build()
}

fn read(fd: Fd, bytes: u32) -> Entry {
    opcode::Read::new(fd, buffer(), bytes).build()
}

fn poll(fd: Fd) -> Entry {
    opcode::PollAdd::new(fd, libc::POLLIN as u32).build()
}

/// An entry that fails when it runs. The kernel takes it.
fn fails() -> Entry {
    opcode::Close::new(Fd(-1)).build()
}

/// An entry that the kernel refuses when it takes it.
fn refused() -> Entry {
    opcode::Timeout::new(std::ptr::null()).build()
}

/// The entry with other bytes at an offset, for what the crate has no builder for.
fn with(mut entry: Entry, offset: usize, bytes: [u8; 4]) -> Entry {
    // SAFETY: an entry is 64 bytes of integers (`struct io_uring_sqe`), and all bytes are valid.
    let fields = unsafe { &mut *std::ptr::from_mut(&mut entry).cast::<[u8; 64]>() };
    fields[offset..offset + 4].copy_from_slice(&bytes);
    entry
}

fn buffer() -> *mut u8 {
    forever([0_u8; 16]).as_mut_ptr()
}

/// A pipe to read the text from.
fn pipe_with_text() -> Result<Fd> {
    let (reader, writer) = pipe()?;
    forever(File::from(writer)).write_all(TEXT.as_bytes())?;
    Ok(Fd(reader.into_raw_fd()))
}

/// A pipe to which nothing is written.
fn silent_pipe() -> Result<Fd> {
    let (reader, writer) = pipe()?;
    forever(writer);
    Ok(Fd(reader.into_raw_fd()))
}

/// Which entries completed, by their place, and with what result.
fn in_order(mut completions: Vec<(u64, i32)>) -> String {
    completions.sort_unstable();
    let each = completions.iter().map(|(tag, result)| {
        format!("{} {}", ["first", "second", "third"][*tag as usize - 1], word(*result))
    });
    each.collect::<Vec<_>>().join(", ")
}

fn word(result: i32) -> String {
    if result < 0 { format!("{:?}", Errno::from_raw(-result)) } else { result.to_string() }
}

/// The questions of a subject begin with the same words.
fn say(subject: &str, question: &str, answer: &str) -> Result<()> {
    Ok(writeln!(io::stdout(), "{subject} {question}: {answer}")?)
}
