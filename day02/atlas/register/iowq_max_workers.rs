//! REGISTER_IOWQ_MAX_WORKERS: limit how many workers there are.
//!
//! Since 5.15. Takes two limits, for bounded work (`IO_WQ_BOUND`: files, paths) and for unbounded
//! work (`IO_WQ_UNBOUND`: sockets, pipes), 0 to leave one as it is, and gives back those of before.
//! liburing: `io_uring_register_iowq_max_workers`; crate: `Submitter::register_iowq_max_workers`.
//! Holds for the calling thread (the man page: on each NUMA node). At first the limits are the
//! ring's entries or 4 a CPU, whichever is less, and RLIMIT_NPROC. What would need a worker more
//! waits for one.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::thread;

use atlas::{Entry, Page, Result};
use common::catalog::WORKER_KINDS;
use io_uring::{IoUring, opcode, squeue, types};
use nix::errno::Errno;
use nix::sys::stat::Mode;

use crate::look;

pub const ENTRY: Entry =
    Entry { shows: &["IORING_REGISTER_IOWQ_MAX_WORKERS", "IO_WQ_BOUND", "IO_WQ_UNBOUND"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread, since its workers are limited.
    let limited = thread::scope(|scope| scope.spawn(|| limit_workers(page)).join());
    limited.expect("the thread does not panic")
}

fn limit_workers(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let mut limits = [0, 0];
    let read = ring.submitter().register_iowq_max_workers(&mut limits);
    let name = "IORING_REGISTER_IOWQ_MAX_WORKERS";
    if page.call_since(name, "register_iowq_max_workers: 0, 0", read)?.is_none() {
        return Ok(());
    }
    let [bound, unbound] = ["BOUND", "UNBOUND"].map(|kind| WORKER_KINDS.code(kind) as usize);
    page.note("limit of bounded workers", limits[bound]);
    page.note("limit of unbounded workers", limits[unbound]);
    let before = limits;
    for limit in [1, 3] {
        limits = [limit, 0];
        let set = ring.submitter().register_iowq_max_workers(&mut limits);
        page.call(&format!("register_iowq_max_workers: {limit}, 0"), set)?;
        let workers = workers_for_three_opens(page, &mut ring, limit as usize)?;
        page.note("workers for 3 opens that block", workers);
    }
    page.saw("the call gave back the limits of before", limits == [1, before[unbound]])?;

    let why = "a limit is at most 2147483647";
    let large = ring.submitter().register_iowq_max_workers(&mut [u32::MAX, 0]);
    page.call_refused("register_iowq_max_workers: 4294967295, 0", large, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// Opens three FIFOs for reading by workers, which blocks each until there is a writer. Returns the
/// most workers that were there at once: it waits for `expected`.
fn workers_for_three_opens(page: &mut Page, ring: &mut IoUring, expected: usize) -> Result<usize> {
    let mut files: Vec<File> = Vec::new();
    let scratch = page.scratch()?;
    let names = [0, 1, 2].map(|number| format!("fifo {number} of {expected}"));
    let (mut opens, mut most) = (Vec::new(), 0);
    let paths =
        [scratch.c_path(&names[0])?, scratch.c_path(&names[1])?, scratch.c_path(&names[2])?];
    for path in &paths {
        nix::unistd::mkfifo(path.as_c_str(), Mode::S_IRWXU)?;
        let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), path.as_ptr()).build();
        let open = open.flags(squeue::Flags::ASYNC);
        // SAFETY: the kernel copies the path at the submit, which is in the call.
        opens.push(unsafe { page.start("OPENAT of a FIFO with IOSQE_ASYNC", ring, open) });
    }
    let look = || look::workers_of_this_thread().map_or(0, |them| them.len());
    while most < expected {
        most = most.max(look());
    }
    for name in &names {
        files.push(open_for_writing(scratch.path(name)));
        most = most.max(look());
    }
    for open in opens {
        page.answer(&open, ring)?;
    }
    page.saw(&format!("never more than {expected}"), most == expected)?;
    Ok(most)
}

/// Opens a FIFO for writing as soon as a reader is about to open it.
fn open_for_writing(path: PathBuf) -> File {
    loop {
        let mut options = OpenOptions::new();
        if let Ok(file) = options.write(true).custom_flags(libc::O_NONBLOCK).open(&path) {
            return file;
        }
        thread::yield_now();
    }
}
