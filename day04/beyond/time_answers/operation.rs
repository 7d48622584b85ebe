//! An operation to be ended: how it is started, when it has begun, and what is left of it.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use io_uring::squeue::Entry;
use nix::errno::Errno;

/// An operation that can be started.
pub struct Operation {
    pub entry: Entry,
    /// What it works on, if that is a descriptor.
    pub file: Option<OwnedFd>,
    /// Returns when a worker is in the middle of it. What no worker does waits from the submit on.
    pub begun: Box<dyn Fn()>,
    /// The number of bytes that is all of it, where there are many.
    pub length: usize,
    /// A worker does it.
    pub is_working: bool,
    /// Gives it, from the other end, what it waits for, if there is another end.
    pub feed: Option<Box<dyn Fn() -> Result<()>>>,
    /// Once it has ended with this result and was fed: what became of the bytes.
    pub look: Look,
    /// Once its process has ended: what is left of it.
    pub remains: Box<dyn Fn() -> Result<String>>,
}

/// What is left, from the result and what the operation worked on.
type Look = Box<dyn Fn(i32, Option<&OwnedFd>) -> Result<String>>;

/// Makes an operation.
pub type Make = fn() -> Result<Operation>;

/// How long a file is that a worker is busy with for a while.
pub const LARGE: usize = 128 << 20;

/// What is sent to an operation that waits on.
pub const LATE: &[u8] = b"late";

impl Operation {
    pub fn new(entry: Entry, file: Option<OwnedFd>) -> Operation {
        Operation {
            entry,
            file,
            begun: Box::new(|| ()),
            length: LARGE,
            is_working: false,
            feed: None,
            look: Box::new(|_, _| Ok(String::new())),
            remains: Box::new(|| Ok(String::new())),
        }
    }
}

/// How many of the sent bytes are neither in the result nor there to be read.
pub fn lost(sent: usize, result: i32, file: Option<&OwnedFd>) -> Result<String> {
    let told = usize::try_from(result).unwrap_or(0);
    let mut left = [0; 64];
    // Here there is something to read, unless it is lost.
    let left = match file.map(|file| nonblocking(file).and_then(|file| (&file).read(&mut left))) {
        Some(Ok(length)) => length,
        _ => 0,
    };
    Ok(match sent - told - left {
        0 => "no byte lost".to_string(),
        lost => format!("{lost} bytes LOST"),
    })
}

/// Another handle of a file, which no read can block on.
pub fn nonblocking(file: &OwnedFd) -> io::Result<File> {
    let file = File::from(file.try_clone()?);
    nix::fcntl::fcntl(&file, nix::fcntl::FcntlArg::F_SETFL(nix::fcntl::OFlag::O_NONBLOCK))?;
    Ok(file)
}

pub fn in_words(result: io::Result<usize>) -> String {
    match result {
        Ok(0) => "the end of the file".to_string(),
        Ok(length) => length.to_string(),
        Err(error) => format!("{:?}", Errno::from_raw(error.raw_os_error().unwrap_or_default())),
    }
}

pub fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(5);
    while !condition() && Instant::now() < deadline {
        thread::yield_now();
    }
}
