//! Processes that a program leaves behind where no tracer sees them. The end of a run kills them,
//! if that can hit no other process.

use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

static OURS: AtomicBool = AtomicBool::new(false);

/// Declares that all processes to which this one may send signals come from its programs, so that
/// the end of a run kills them. Only the first process of a namespace may call it, or a process
/// with its own user. The reason: a program can start a process that no tracer sees
/// (`CLONE_UNTRACED`).
pub fn are_programs() {
    OURS.store(true, Ordering::Relaxed);
}

/// Kills all other processes, if all of them are the program's.
pub fn kill_all() {
    if OURS.load(Ordering::Relaxed) {
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    }
}
