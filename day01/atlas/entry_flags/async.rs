//! IOSQE_ASYNC: give it to a worker thread at once.
//!
//! Since 5.6. liburing: `io_uring_sqe_set_flags`; crate: `squeue::Flags::ASYNC`.
//! Without it, the kernel first tries each operation in the submit itself; what would block waits
//! for readiness (sockets, pipes) or goes to a worker (files). With it, the try is left out: the
//! submit returns soon, but each entry costs a switch to a worker and back. Good for operations
//! that block every time. Workers are threads of the program (`iou-wrk-TID`, since 5.12), and
//! belong to the thread that submits.

use std::os::fd::AsRawFd;
use std::{fs, thread};

use atlas::{Entry, Page, Result};
use io_uring::squeue::Flags;
use io_uring::types::Fd;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd::gettid;

pub const ENTRY: Entry = Entry { shows: &["IOSQE_ASYNC"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread has no workers yet.
    thread::scope(|scope| scope.spawn(|| in_new_thread(page)).join().expect("it does not panic"))
}

fn in_new_thread(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let native = ring.params().is_feature_native_workers();
    let scratch = page.scratch()?;
    let file = scratch.file("log")?;
    let text = b"by a worker";
    let write = opcode::Write::new(Fd(file.as_raw_fd()), text.as_ptr(), text.len() as u32);

    // SAFETY: a NOP points at no memory.
    unsafe { page.ask("NOP", &mut ring, opcode::Nop::new().build()) }?;
    if native {
        page.saw("this thread has no worker", workers()? == 0)?;
    }
    let write = write.build().flags(Flags::ASYNC);
    // SAFETY: the bytes are a constant.
    unsafe { page.ask("WRITE with ASYNC", &mut ring, write) }?;
    if native {
        page.saw("now it has", workers()? > 0)?;
    }
    page.saw("the bytes are in the file", fs::read(scratch.path("log"))? == text)?;

    let unknown = Flags::from_bits_retain(1 << 7);
    let entry = opcode::Nop::new().build().flags(unknown);
    let why = "sqe->flags has seven flags, and this is the eighth bit";
    // SAFETY: as above.
    unsafe { page.refused("NOP with flag 1 << 7", &mut ring, entry, Errno::EINVAL, why) }
}
// ANCHOR_END: show

/// How many workers this thread has, by their names.
fn workers() -> Result<usize> {
    let name = format!("iou-wrk-{}", gettid());
    let tasks = fs::read_dir("/proc/self/task")?.flatten();
    let names = tasks.filter_map(|task| fs::read_to_string(task.path().join("comm")).ok());
    Ok(names.filter(|comm| comm.trim_end() == name).count())
}
