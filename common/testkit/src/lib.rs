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
pub mod seccomp;
mod server;
mod strace;
mod talking;
mod unread;

use std::fmt::Display;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use io_uring::IoUring;
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
pub use self::strace::Strace;
pub use self::talking::{Said, Talking};
pub use self::unread::Unread;

use common::environment::{self, Environment};
use common::ring::{self, RingOptions, SetupFlags};

/// How long any wait here lasts before it gives up. Only a failure takes that long, so it is
/// generous: the machine may be busy, or emulated.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// How often to look at a condition while waiting for it.
const POLL: Duration = Duration::from_millis(2);

/// Prints that this `test` is skipped, to the real standard error: the test harness hides what
/// `eprintln!` prints in a test that passes.
pub fn skipped(test: &str, why: impl Display) {
    // A closed stderr is not a reason to fail a test.
    let _ = writeln!(io::stderr(), "SKIPPED {test}: {why}");
}

/// Whether a ring is available here. If not, says so aloud and names the `test` that is skipped.
///
/// # Panics
/// Instead of skipping, if `REQUIRE_IO_URING=1` is set, as in continuous integration: a test
/// that is never run proves nothing.
pub fn io_uring_or_skip(test: &str) -> bool {
    let Some(why) = no_rings_for_tests() else { return true };
    let required = std::env::var_os("REQUIRE_IO_URING").is_some_and(|value| value == "1");
    assert!(!required, "{test}: {why}; REQUIRE_IO_URING=1 makes that a failure");
    skipped(test, why);
    false
}

/// Why tests cannot have rings here, or not enough of them.
fn no_rings_for_tests() -> Option<String> {
    if let Err(error) = ring(2) {
        return Some(unavailable(&error));
    }
    // Tests run side by side and set up rings of all sizes. The largest must fit at least.
    let limit = Environment::read().locked_memory_limit()?;
    let needed = memory_of(ring::MAX_ENTRIES);
    // Some kernels do not count rings.
    (limit < needed && ring(ring::MAX_ENTRIES).is_err()).then(|| {
        format!(
            "RLIMIT_MEMLOCK is {} KiB and this kernel counts rings: those of the tests need {} KiB",
            limit >> 10,
            needed >> 10
        )
    })
}

fn unavailable(error: &io::Error) -> String {
    let cause = environment::explain_memory("io_uring_setup", error, memory_of(2));
    format!("io_uring is not available here: {} ({})", cause.what, cause.why)
}

fn ring(entries: u32) -> io::Result<IoUring> {
    ring::build(&RingOptions::default(), entries, SetupFlags::default())
}

fn memory_of(entries: u32) -> u64 {
    ring::locked_memory(&RingOptions::default(), entries, SetupFlags::default())
}

/// Starts a server that accepts into direct slots. If no ring is available here, or the kernel
/// is older than 5.19, says so aloud, names the `test` that is skipped, and returns `None`.
///
/// # Panics
/// If it does not start although it could; and as [`io_uring_or_skip`].
pub fn start_or_skip(test: &str, command: Command) -> Option<Server> {
    if !io_uring_or_skip(test) {
        return None;
    }
    let error = match Server::start(command) {
        Ok(server) => return Some(server),
        Err(error) => error,
    };
    let too_old = error
        .downcast_ref::<EndedEarly>()
        .is_some_and(|early| early.stderr.contains("came with Linux 5.19"));
    assert!(too_old, "{error:#}");
    skipped(test, format_args!("{error:#}"));
    None
}

/// Starts a server as [`start_or_skip`] does, for which the kernel can start no worker thread. If
/// that is not possible, says so aloud and returns `None`.
///
/// # Panics
/// As [`start_or_skip`].
pub fn start_without_workers_or_skip(test: &str, mut command: Command) -> Option<Server> {
    if !as_ordinary_user(&mut command) {
        skipped(test, "only root may run the program");
        return None;
    }
    forbid_threads(&mut command);
    if !io_uring_or_skip(test) {
        return None;
    }
    let started = Server::start(command);
    if let Err(error) = &started {
        // This process may be exempt from the limit, but that user is not.
        let error = format!("{error:#}");
        assert!(error.contains("5.19") || error.contains("RLIMIT_MEMLOCK"), "{error}");
        skipped(test, error);
    }
    started.ok()
}

/// Makes the child an ordinary user, as [`as_ordinary_user`] does, who may lock at most this many
/// bytes. If that is not possible, says so aloud and names the `test` that is skipped.
pub fn ordinary_user_or_skip(test: &str, command: &mut Command, locked: u64) -> bool {
    limit_locked_memory(command, locked);
    let possible = as_ordinary_user(command);
    if !possible {
        skipped(test, "another user may not run the program");
    }
    possible
}

/// Waits until `condition` holds.
///
/// # Panics
/// With `what` in the message, if it does not hold within [`PATIENCE`].
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(PATIENCE, condition),
        "waited {} s, and it did not happen: {what}",
        PATIENCE.as_secs()
    );
}

/// Asks repeatedly; `false` if the condition does not hold within `patience`.
pub fn holds_within(patience: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + patience;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        std::thread::sleep(POLL);
    }
}

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
    // With a linger time of zero, close(2) throws away what is queued and sends RST
    // (socket(7), SO_LINGER).
    let linger = libc::linger { l_onoff: 1, l_linger: 0 };
    setsockopt(&stream, sockopt::Linger, &linger).expect("a TCP socket takes SO_LINGER");
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn a_skip_names_the_cause() {
        let why = unavailable(&io::Error::from_raw_os_error(libc::EPERM));
        assert!(why.starts_with("io_uring is not available here: "), "{why}");
        assert!(why.contains("EPERM"), "{why}");
    }

    #[test]
    fn a_reset_is_no_end_of_file() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        reset(client);
        let error = accepted.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn waiting_asks_again_until_the_condition_holds() {
        let mut asked = 0;
        wait_until("the third time", || {
            asked += 1;
            asked == 3
        });
        assert_eq!(asked, 3);
    }
}
