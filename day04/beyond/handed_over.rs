//! Using a ring that another process made.
//!
//! The child needs the descriptor, and the parameters that the setup filled in: they say how large
//! the queues are, and where each field is (`io_uring_setup(2)`).

use std::io::{Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::{Child, Command, Stdio};
use std::slice;

use anyhow::{Context, Result};
use io_uring::{IoUring, Parameters};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

// ANCHOR: start
/// Starts this program once more, as a child that inherits the ring. Its standard input begins
/// with the ring's parameters, and its last argument is the ring's descriptor.
pub fn start(ring: &IoUring, arguments: &[&str]) -> Result<Child> {
    // SAFETY: we hold the ring, so its descriptor is open.
    let descriptor = unsafe { std::os::fd::BorrowedFd::borrow_raw(ring.as_raw_fd()) };
    // An exec closes it otherwise.
    fcntl(descriptor.as_fd(), FcntlArg::F_SETFD(FdFlag::empty()))?;
    let mut command = Command::new("/proc/self/exe");
    command.args(arguments).arg(ring.as_raw_fd().to_string()).stdin(Stdio::piped());
    let mut child = command.spawn().context("starting this program once more")?;
    let parameters = std::ptr::from_ref(ring.params()).cast::<u8>();
    // SAFETY: `Parameters` is a transparent `struct io_uring_params`: integers without a gap.
    let bytes = unsafe { slice::from_raw_parts(parameters, size_of::<Parameters>()) };
    child.stdin.take().context("a pipe")?.write_all(bytes)?;
    Ok(child)
}
// ANCHOR_END: start

/// The ring that was inherited: maps its queues.
///
/// # Safety
/// The descriptor must be that of a ring, without another owner in this process; standard input
/// must have its parameters.
pub unsafe fn inherited(descriptor: RawFd) -> Result<IoUring> {
    let mut parameters = MaybeUninit::<Parameters>::zeroed();
    let place = parameters.as_mut_ptr().cast::<u8>();
    // SAFETY: integers, all of them initialised.
    let bytes = unsafe { slice::from_raw_parts_mut(place, size_of::<Parameters>()) };
    std::io::stdin().lock().read_exact(bytes).context("reading the ring's parameters")?;
    // SAFETY: our caller's promise. Any integers are a value of it.
    Ok(unsafe { IoUring::from_fd(descriptor, parameters.assume_init()) }?)
}
