//! The operations that a worker thread is in the middle of: a SPLICE that waits in the kernel, and
//! files that take it a while.

use std::cell::Cell;
use std::fs::{self, File};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::Result;
use common::memory::forever;
use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::Fd;
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::unistd::pipe;

use super::operation::{LARGE, LATE, Operation, in_words, lost, wait_until};

/// From an empty pipe into another one. Its descriptor, as ASYNC_CANCEL sees it, is where it goes.
pub fn splice() -> Result<Operation> {
    let ((from, feeder), (reader, to)) = (pipe()?, pipe()?);
    let entry = opcode::Splice::new(Fd(from.as_raw_fd()), -1, Fd(to.as_raw_fd()), -1, 16).build();
    let writer = Rc::new(File::from(feeder));
    let feeder = writer.clone();
    let from = Rc::new(Cell::new(Some(from)));
    forever(reader);
    let keeps = from.clone();
    Ok(Operation {
        begun: Box::new(|| wait_for_worker("pipe_")),
        is_working: true,
        feed: Some(Box::new(move || Ok((&*feeder).write_all(LATE)?))),
        look: Box::new(move |result, _| lost(LATE.len(), result, from.take().as_ref())),
        remains: Box::new(move || {
            drop(keeps.take());
            wait_until(|| (&*writer).write(&[0]).is_err());
            Ok(format!("a writer gets {}", in_words((&*writer).write(&[0]))))
        }),
        ..Operation::new(entry, Some(to))
    })
}

/// Waits until a worker of this process sleeps in a function of the kernel with such a name.
fn wait_for_worker(place: &str) {
    let deadline = Instant::now() + Duration::from_secs(2);
    while Instant::now() < deadline {
        let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
        let mut reads = tasks.map(|task| fs::read_to_string(task.path().join("wchan")));
        if reads.any(|wchan| wchan.is_ok_and(|wchan| wchan.starts_with(place))) {
            return;
        }
        sleep(Duration::from_millis(1));
    }
}

/// A READ into memory of which the first and the last page can be watched.
pub struct Watched {
    pub first: &'static AtomicU8,
    pub last: &'static AtomicU8,
}

/// A file in memory whose first and last byte are 7, and a READ of all of it. The pages between
/// go to one page, one after the other.
pub fn large_read() -> Result<(File, Entry, Watched)> {
    let file = File::from(memfd_create("large", MFdFlags::empty())?);
    file.write_all_at(&[7], 0)?;
    file.write_all_at(&[7], LARGE as u64 - 1)?;
    let watched = Watched { first: forever(AtomicU8::new(0)), last: forever(AtomicU8::new(0)) };
    let (rest, piece) = (LARGE - 2, 1 << 20);
    let middle = forever(vec![0_u8; piece]).as_mut_ptr();
    let part = |base: *mut u8, length| libc::iovec { iov_base: base.cast(), iov_len: length };
    let mut parts = vec![part(watched.first.as_ptr(), 1)];
    parts.extend((0..rest / piece).map(|_| part(middle, piece)));
    parts.push(part(middle, rest % piece));
    parts.push(part(watched.last.as_ptr(), 1));
    let parts = forever(parts);
    let entry = opcode::Readv::new(Fd(file.as_raw_fd()), parts.as_ptr(), parts.len() as u32);
    Ok((file, entry.build().flags(Flags::ASYNC), watched))
}

pub fn read_file() -> Result<Operation> {
    let (file, entry, Watched { first, last }) = large_read()?;
    Ok(Operation {
        begun: Box::new(|| wait_until(|| first.load(Ordering::Relaxed) == 7)),
        is_working: true,
        look: Box::new(|_, _| {
            let all = last.load(Ordering::Relaxed) == 7;
            Ok(format!("memory has {} of it", if all { "all" } else { "a part" }))
        }),
        ..Operation::new(entry, Some(file.into()))
    })
}

pub fn write_file() -> Result<Operation> {
    let file = Rc::new(File::from(memfd_create("large", MFdFlags::empty())?));
    // Never touched, so that these are zeros that take no memory.
    static ZEROS: OnceLock<Vec<u8>> = OnceLock::new();
    let bytes = ZEROS.get_or_init(|| vec![0; LARGE]);
    let entry = opcode::Write::new(Fd(file.as_raw_fd()), bytes.as_ptr(), LARGE as u32).build();
    let length = |file: &File| file.metadata().map_or(0, |data| data.len() as usize);
    let (watched, looked, left, own) =
        (file.clone(), file.clone(), file.clone(), file.try_clone()?);
    let in_words = move |file: &File| match length(file) {
        0 => "the file is empty",
        LARGE => "the file has all of it",
        _ => "the file has a part of it",
    };
    Ok(Operation {
        begun: Box::new(move || wait_until(|| length(&watched) > 0)),
        is_working: true,
        look: Box::new(move |_, _| Ok(in_words(&looked).to_string())),
        remains: Box::new(move || Ok(in_words(&left).to_string())),
        ..Operation::new(entry.flags(Flags::ASYNC), Some(own.into()))
    })
}
