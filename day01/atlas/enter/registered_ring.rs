//! IORING_ENTER_REGISTERED_RING: the ring is named by its registered index.
//!
//! Since 5.18. liburing: `io_uring_register_ring_fd`, from then on by itself; crate:
//! `Submitter::register_ring_fd`, which only that `Submitter` remembers.
//! Saves the look-up of the descriptor in each call, which counts where several threads share
//! their descriptors. The index is one of 16 that a thread has, and means nothing to another
//! thread. It keeps the ring open: unregister it (`IORING_UNREGISTER_RING_FDS`) before the thread
//! goes on without the ring.

use std::os::fd::{AsRawFd, RawFd};
use std::{io, thread};

use atlas::{Entry, Page, Result};
use common::catalog::REGISTER_OPERATIONS;
use io_uring::{IoUring, opcode};
use nix::errno::Errno;

use super::{GETEVENTS, NOTHING, REGISTERED_RING, enter};

pub const ENTRY: Entry = Entry { shows: &["IORING_ENTER_REGISTERED_RING"], show };

// ANCHOR: show
fn show(page: &mut Page) -> Result<()> {
    // A new thread has no registered rings yet.
    thread::scope(|scope| scope.spawn(|| in_new_thread(page)).join().expect("it does not panic"))
}

fn in_new_thread(page: &mut Page) -> Result<()> {
    let mut ring = IoUring::new(4)?;
    let fd = ring.as_raw_fd();
    let name = "IORING_ENTER_REGISTERED_RING";
    let Some(index) = page.call_since(name, "register the ring's descriptor", register(fd))? else {
        return Ok(());
    };
    page.note("its index", index);
    // SAFETY: a NOP points at no memory.
    unsafe { ring.submission().push(&opcode::Nop::new().build()) }?;
    let call = |index| enter(index, 1, 1, GETEVENTS | REGISTERED_RING, NOTHING);
    page.call("enter by the index: submit a NOP, wait for it", call(index))?;
    page.saw("the completion is there", ring.completion().count() == 1)?;

    let why = "nothing is registered at that index";
    page.call_refused("enter by index 15", call(15), Errno::EBADF, why)?;
    let why = "there are 16 indices, 0 to 15";
    page.call_refused("enter by index 16", call(16), Errno::EINVAL, why)?;
    let elsewhere = thread::spawn(move || call(index));
    let result = elsewhere.join().expect("it does not panic");
    let why = "this thread has registered no ring";
    page.call_refused("enter by the index, in another thread", result, Errno::EINVAL, why)
}
// ANCHOR_END: show

/// `IORING_REGISTER_RING_FDS`: the crate's call does not return the index.
fn register(ring: RawFd) -> io::Result<RawFd> {
    /// `struct io_uring_rsrc_update`.
    #[repr(C)]
    struct Update {
        /// The index, or -1 for any; the kernel writes which one it is.
        index: RawFd,
        rest: u32,
        ring: u64,
    }
    let mut update = Update { index: -1, rest: 0, ring: ring as u64 };
    let call = REGISTER_OPERATIONS.code("REGISTER_RING_FDS");
    // SAFETY: the kernel reads and writes the one structure in the call.
    let done = unsafe { libc::syscall(libc::SYS_io_uring_register, ring, call, &mut update, 1) };
    Errno::result(done)?;
    Ok(update.index)
}
