//! Gets a running day's listening socket.

use std::io;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;

use super::descriptors;

/// A second descriptor for the socket that a process listens on (`pidfd_getfd(2)`, Linux
/// 5.6), with which a test can make the process's next accept fail. For a child of ours, no
/// privilege is needed.
///
/// # Errors
/// If the process has no socket, or several, or may not be looked into.
pub fn listener_of(pid: u32) -> io::Result<TcpListener> {
    let descriptors = descriptors(pid)?;
    let mut sockets = descriptors.iter().filter(|(_, target)| target.starts_with("socket:"));
    let (Some((&fd, _)), None) = (sockets.next(), sockets.next()) else {
        return Err(io::Error::other(format!("process {pid} has not one socket: {descriptors:?}")));
    };
    // SAFETY: the call reads no memory, and what it returns is a new descriptor or -1.
    let pidfd = unsafe { owned(libc::syscall(libc::SYS_pidfd_open, pid, 0)) }?;
    // SAFETY: as above.
    let socket = unsafe { owned(libc::syscall(libc::SYS_pidfd_getfd, pidfd.as_raw_fd(), fd, 0)) }?;
    Ok(TcpListener::from(socket))
}

/// # Safety
/// If `returned` is 0 or more, it must be an open descriptor with no other owner.
unsafe fn owned(returned: libc::c_long) -> io::Result<OwnedFd> {
    let fd = Errno::result(returned)?;
    // SAFETY: the caller's promise.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}
