//! ASYNC_CANCEL: cancel operations that are in flight.
//!
//! Since 5.5; by descriptor, `ANY` and `ALL` since 5.19; by slot since 6.0; `OP` and `USERDATA`
//! since 6.6. Stands for `aio_cancel(3)`; liburing: `io_uring_prep_cancel`,
//! `io_uring_prep_cancel_fd`; crate: `opcode::AsyncCancel2`, without `OP` and `USERDATA`
//! (`atlas::raw` writes them).
//! Takes a key: `user_data`, a descriptor, a slot, an operation, several of these, or `ANY`.
//! Returns 0; with `ALL` or `ANY` how many it found, which may be 0. The cancelled operation has
//! its own completion, before or after, most often ECANCELED: until that one has come, its memory
//! belongs to the kernel. EALREADY: a worker is in the middle of it, gets interrupted, and the
//! operation ends soon, one way or the other. A close of the descriptor cancels nothing.

use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use std::{fs, thread};

use atlas::raw::Fields;
use atlas::{Ask, Entry, Page, Result, Started, Where, is_older_than};
use common::catalog::{CANCEL_FLAGS, OPERATIONS};
use io_uring::squeue::{self, Flags};
use io_uring::types::{CancelBuilder, Fd, Fixed};
use io_uring::{IoUring, opcode};
use nix::errno::Errno;
use nix::unistd::pipe;

use super::{HOUR, poll_in};

pub const ENTRY: Entry = Entry {
    shows: &[
        "IORING_OP_ASYNC_CANCEL",
        "IORING_ASYNC_CANCEL_ALL",
        "IORING_ASYNC_CANCEL_FD",
        "IORING_ASYNC_CANCEL_ANY",
        "IORING_ASYNC_CANCEL_FD_FIXED",
        "IORING_ASYNC_CANCEL_USERDATA",
        "IORING_ASYNC_CANCEL_OP",
    ],
    show,
};

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    let ring = &mut IoUring::new(8)?;
    let ((a, _a), (b, _b)) = (UnixStream::pair()?, UnixStream::pair()?);
    ring.submitter().register_files(&[b.as_raw_fd()])?;
    let fd = Fd(a.as_raw_fd());

    let of_a = poll(page, ring, "a", &a);
    let key = CancelBuilder::user_data(of_a.user_data());
    cancel(page, ring, "", "by user_data", by(key), &[&of_a])?;

    let of_a = poll(page, ring, "a", &a);
    let of_b = poll(page, ring, "b", &b);
    cancel(page, ring, "FD", "on a", by(CancelBuilder::fd(fd)), &[&of_a])?;
    page.waits(&of_b, ring)?;
    let (first, second) = (poll(page, ring, "a", &a), poll(page, ring, "a", &a));
    let key = by(CancelBuilder::fd(fd).all());
    cancel(page, ring, "ALL", "of all on a", key, &[&first, &second])?;
    let of_a = poll(page, ring, "a", &a);
    cancel(page, ring, "ANY", "of everything", by(CancelBuilder::any()), &[&of_a, &of_b])?;

    let of_b = poll(page, ring, "b", &b);
    let key = by(CancelBuilder::fd(Fixed(0)));
    cancel(page, ring, "FD_FIXED", "on slot 0, which is b", key, &[&of_b])?;
    let (timer, of_a) = (timer(page, ring), poll(page, ring, "a", &a));
    let key = by_flags(&["OP"]).len(OPERATIONS.code("POLL_ADD"));
    cancel(page, ring, "OP", "of the first POLL_ADD", key, &[&of_a])?;
    page.waits(&timer, ring)?;
    let (first, second) = (poll(page, ring, "a", &a), poll(page, ring, "a", &a));
    let key = by_flags(&["USERDATA", "FD"]).addr(second.user_data()).fd(fd.0);
    cancel(page, ring, "USERDATA", "by user_data and on a", key, &[&second])?;
    page.waits(&first, ring)?;

    in_a_worker(page, ring)?;
    mistakes(page, ring, a)
}
// ANCHOR_END: show

/// POLL_ADD of a quiet socket.
fn poll(page: &mut Page, ring: &mut IoUring, name: &str, socket: &UnixStream) -> Started {
    // SAFETY: a poll points at no memory.
    unsafe { page.start(&format!("POLL_ADD of socket {name}"), ring, poll_in(socket)) }
}

fn timer(page: &mut Page, ring: &mut IoUring) -> Started {
    // SAFETY: the time is a static.
    unsafe { page.start("TIMEOUT of an hour", ring, opcode::Timeout::new(&HOUR).build()) }
}

/// By the keys that the crate knows.
fn by(key: CancelBuilder) -> squeue::Entry {
    opcode::AsyncCancel2::new(key).build()
}

/// By any keys, which are written into the entry.
fn by_flags(flags: &[&str]) -> squeue::Entry {
    let flags = flags.iter().fold(0, |all, flag| all | CANCEL_FLAGS.code(flag));
    opcode::AsyncCancel::new(0).build().op_flags(flags)
}

/// Cancels, and checks that it found `those`. `flag` is what a kernel may not know yet.
fn cancel(
    page: &mut Page,
    ring: &mut IoUring,
    flag: &str,
    which: &str,
    entry: squeue::Entry,
    those: &[&Started],
) -> Result<()> {
    let asked = format!("ASYNC_CANCEL {which}");
    let name = CANCEL_FLAGS.by_name(flag).map_or("IORING_OP_ASYNC_CANCEL", |flag| flag.name);
    // Linux 6.1 takes OP, and then looks for user_data 0.
    if ["OP", "USERDATA"].contains(&flag) && is_older_than("6.6") {
        return page.lacks(name);
    }
    // SAFETY: the entry points at nothing.
    let Some(answer) = (unsafe { page.ask_since(name, &asked, ring, entry) })? else {
        return Ok(());
    };
    if ["ALL", "ANY"].contains(&flag) {
        page.saw("it returned how many it found", answer.result as usize == those.len())?;
    }
    for started in those {
        page.ended(started, ring, Errno::ECANCELED, "it was cancelled")?;
    }
    Ok(())
}

/// SPLICE blocks in a worker. There, a cancellation can only interrupt it.
fn in_a_worker(page: &mut Page, ring: &mut IoUring) -> Result<()> {
    let ((empty, _feed), (_drain, other)) = (pipe()?, pipe()?);
    let (from, to) = (Fd(empty.as_raw_fd()), Fd(other.as_raw_fd()));
    let entry = opcode::Splice::new(from, -1, to, -1, 1).build();
    // SAFETY: pipes have their own memory.
    let splice = unsafe { page.start("SPLICE from an empty pipe", ring, entry) };
    if !sleeps_in_a_pipe() {
        let why = "/proc does not show where workers sleep";
        return page.cannot("EALREADY", why, Where::OtherMachine);
    }
    let cancel = || {
        let entry = opcode::AsyncCancel::new(splice.user_data()).build();
        let why = "a worker is in the middle of it, and gets interrupted";
        let early = "a worker takes it at this very moment, or it was interrupted before";
        let ask = Ask::new("ASYNC_CANCEL of it", entry);
        [ask.refused(Errno::EALREADY, why).refused(Errno::ENOENT, early)]
    };
    // A worker that is just going to sleep can miss the interruption (Linux 5.10): ask again.
    loop {
        // SAFETY: the entry points at nothing.
        unsafe { page.ask_all(ring, cancel()) }?;
        let soon = (0..50).any(|_| {
            thread::sleep(Duration::from_millis(10));
            page.has_completed(&splice, ring)
        });
        if soon {
            break;
        }
    }
    // Linux 6.18 answers 512, ERESTARTSYS, which should never leave the kernel.
    let errnos = [Errno::EINTR, Errno::ECANCELED, Errno::UnknownErrno];
    page.ended_by_one_of(&splice, ring, &errnos, "it was interrupted").map(drop)
}

/// Waits until a worker of this process sleeps in a pipe; false if that cannot be observed.
fn sleeps_in_a_pipe() -> bool {
    for _ in 0..10_000 {
        let Ok(tasks) = fs::read_dir("/proc/self/task") else { return false };
        for task in tasks.flatten() {
            let read = |name| fs::read_to_string(task.path().join(name)).unwrap_or_default();
            if read("comm").starts_with("iou-wrk") && read("wchan").starts_with("pipe_") {
                return true;
            }
        }
        thread::yield_now();
    }
    false
}

fn mistakes(page: &mut Page, ring: &mut IoUring, socket: UnixStream) -> Result<()> {
    let fd = Fd(socket.as_raw_fd());
    for (asked, entry, errno, why) in [
        (
            "ASYNC_CANCEL of user_data 404",
            opcode::AsyncCancel::new(404).build(),
            Errno::ENOENT,
            "no such operation, or it has completed",
        ),
        (
            "ASYNC_CANCEL by ANY and FD",
            by_flags(&["ANY", "FD"]).fd(fd.0),
            Errno::EINVAL,
            "everything, or what is on a descriptor",
        ),
    ] {
        // SAFETY: the entries point at nothing.
        unsafe { page.refused(asked, ring, entry, errno, why) }?;
    }
    let (name, asked) = ("IORING_ASYNC_CANCEL_FD_FIXED", "ASYNC_CANCEL on slot 1");
    let (entry, why) = (by(CancelBuilder::fd(Fixed(1))), "the table has one slot, which is 0");
    // SAFETY: as above.
    unsafe { page.refused_since(name, asked, ring, entry, Errno::EBADF, why) }?;

    // SAFETY: as above.
    let chain = unsafe {
        let nop = opcode::Nop::new().build();
        let poll = poll_in(&socket).flags(Flags::IO_LINK);
        page.start_all(ring, [("POLL_ADD", poll), ("NOP linked to it", nop)])
    };
    let entry = opcode::AsyncCancel::new(chain[1].user_data()).build();
    let why = "it has not begun: cancel the entry that the chain waits for";
    // SAFETY: as above.
    unsafe { page.refused("ASYNC_CANCEL of that NOP", ring, entry, Errno::ENOENT, why) }?;

    let close = opcode::Close::new(Fd(socket.into_raw_fd())).build();
    // SAFETY: the descriptor is owned here, and this is its end.
    unsafe { page.ask("CLOSE of the socket", ring, close) }?;
    page.waits(&chain[0], ring)
}
