//! FEAT_NATIVE_WORKERS: workers are threads of the program.
//!
//! Since 5.12. An operation that cannot be done without blocking goes to a worker. Such a thread
//! has the program's memory, descriptors and rights, counts for its limits, and is called
//! `iou-wrk-` with the number of the thread it serves. Before, workers were the kernel's and had
//! all of that lent.

use std::os::fd::{FromRawFd, OwnedFd};
use std::thread;

use atlas::{Entry, Page, Result};
use io_uring::{opcode, squeue, types};

use super::ring_with;
use crate::look;

pub const ENTRY: Entry = Entry { shows: &["IORING_FEAT_NATIVE_WORKERS"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread, which has had no worker yet.
    let shown = thread::scope(|scope| scope.spawn(|| meet_a_worker(page)).join());
    shown.expect("the thread does not panic")
}

fn meet_a_worker(page: &mut Page) -> Result<()> {
    let name = "IORING_FEAT_NATIVE_WORKERS";
    let has = |params: &io_uring::Parameters| params.is_feature_native_workers();
    let Some(mut ring) = ring_with(page, name, has)? else { return Ok(()) };
    page.saw("this thread has no worker", look::workers_of_this_thread()?.is_empty())?;
    // In a worker, "self" is the submitting process: a worker belongs to it.
    let open = opcode::OpenAt::new(types::Fd(libc::AT_FDCWD), c"/proc/self/comm".as_ptr()).build();
    let open = open.flags(squeue::Flags::ASYNC);
    // SAFETY: the path is part of the program.
    let opened = unsafe { page.ask("OPENAT with IOSQE_ASYNC", &mut ring, open) }?.result;
    // SAFETY: the descriptor is new and has no other owner.
    drop(unsafe { OwnedFd::from_raw_fd(opened) });
    let workers = look::workers_of_this_thread()?;
    page.saw("/proc/self/task has its worker", !workers.is_empty())?;
    let process = look::status(workers[0], "Tgid")?;
    let ours = Some(std::process::id().to_string());
    page.saw("it is a thread of this process (Tgid)", process == ours)?;
    page.saw("with its user (Uid)", look::status(workers[0], "Uid")? == uid()?)
}
// ANCHOR_END: show

/// The users of this thread.
fn uid() -> Result<Option<String>> {
    look::status(nix::unistd::gettid().as_raw(), "Uid")
}
