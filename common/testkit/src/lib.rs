//! Starts a day as a separate program, and plays its client: for tests and `xtask`.
//!
//! No wait here is without a limit: a day that hangs is killed and reported.

mod answers;
pub mod atlas;
mod example;
mod folder;
mod limits;
mod listener;
mod log;
mod process;
mod program;
pub mod refused;
pub mod seccomp;
mod server;
mod skip;
mod strace;
mod talking;
mod unread;
mod wait;

use std::io::Read;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::socket::{setsockopt, sockopt};

pub use self::answers::Answers;
pub use self::example::example;
pub use self::folder::Folder;
pub use self::limits::{
    as_ordinary_user, forbid_threads, limit_descriptors, limit_descriptors_of, limit_locked_memory,
};
pub use self::listener::listener_of;
pub use self::process::{
    descriptors, has_worker, open_fds, poll_list, resident_kib, ring_operations, ring_slots,
};
pub use self::program::{die_with_parent, heed_stop_signals, in_words, output_within};
pub use self::seccomp::{block_io_uring, block_io_uring_enter};
pub use self::server::{EndedEarly, Server, Stopped};
pub use self::skip::{
    io_uring_or_skip, ordinary_user_or_skip, skipped, start_or_skip, start_without_workers_or_skip,
};
pub use self::strace::Strace;
pub use self::talking::{Said, Talking};
pub use self::unread::Unread;
pub use self::wait::{PATIENCE, holds_within, wait_until};

/// Reads the end of a stream: not a byte more, and no reset.
///
/// # Panics
/// If anything else comes.
pub fn end_of_file(mut stream: &TcpStream) {
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).expect("an end-of-file, no reset");
    assert_eq!(rest, b"", "an end-of-file, no bytes");
}

/// Raises a flag when it is dropped, also by a panic: threads that look at the flag end, and so
/// does the scope that waits for them.
#[derive(Debug)]
pub struct RaiseAtEnd<'a>(pub &'a AtomicBool);

impl Drop for RaiseAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Ends a connection rudely: the peer gets a reset and not an end-of-file.
///
/// # Panics
/// If the socket does not take `SO_LINGER`; every TCP socket does.
pub fn reset(stream: TcpStream) {
    // With a linger time of zero, close(2) discards what is queued and sends RST
    // (socket(7), SO_LINGER).
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &linger).expect("a TCP socket takes SO_LINGER");
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_reset_is_no_end_of_file() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        reset(client);
        let error = accepted.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
