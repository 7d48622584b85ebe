//! Tests that need a ring, or another user: whether they can run here.

use std::fmt::Display;
use std::io::{self, Write};
use std::process::Command;

use common::environment::{self, Environment};
use common::ring::{self, RingOptions, SetupFlags};
use io_uring::IoUring;

use crate::limits::{as_ordinary_user, forbid_threads, limit_locked_memory};
use crate::server::{EndedEarly, Server};

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_names_the_cause() {
        let why = unavailable(&io::Error::from_raw_os_error(libc::EPERM));
        assert!(why.starts_with("io_uring is not available here: "), "{why}");
        assert!(why.contains("EPERM"), "{why}");
    }
}
