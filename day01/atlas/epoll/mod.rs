//! The way between a ring and epoll.

use std::os::fd::{FromRawFd, OwnedFd};

use atlas::Result;
use nix::errno::Errno;

mod epoll_ctl;
mod epoll_wait;

/// The entries of this family.
pub const ENTRIES: &[atlas::Entry] = &[epoll_ctl::ENTRY, epoll_wait::ENTRY];

/// A new epoll descriptor, which watches nothing yet.
fn epoll() -> Result<OwnedFd> {
    // SAFETY: it takes no memory.
    let fd = Errno::result(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // SAFETY: the kernel has just made it for us.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
