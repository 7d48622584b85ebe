//! Entries that wait for readiness, and entries that end the waiting of others.

mod async_cancel;
mod poll_add;
mod poll_remove;

use std::os::fd::AsRawFd;

use io_uring::types::{Fd, Timespec};
use io_uring::{opcode, squeue};

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[poll_add::ENTRY, poll_remove::ENTRY, async_cancel::ENTRY];

/// What a poll asks for, and gets: there is something to read.
const POLLIN: u32 = libc::POLLIN as u32;

/// An hour. Nothing here waits until it is over.
static HOUR: Timespec = Timespec::new().sec(3_600);

/// Waits until there is something to read. Points at no memory.
fn poll_in(file: &impl AsRawFd) -> squeue::Entry {
    opcode::PollAdd::new(Fd(file.as_raw_fd()), POLLIN).build()
}
