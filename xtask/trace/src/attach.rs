//! Joining a program that runs already: `ringtrace --attach PID`.
//!
//! The tracer seizes every thread (`PTRACE_SEIZE`) without stopping it; [`rings`] finds the rings
//! of the process. Detaching needs no stop either: when the tracing thread ends, the kernel
//! detaches its tracees and wakes none of them.

mod rings;
mod rules;

use std::io;

use common::environment::Refusal;
use libc::pid_t;

use crate::sys;
use crate::threads::{status, tids};
pub use rings::{Found, found, holds_a_ring, without_descriptor};

/// Seizes every thread of a process. Threads that they start later are seized as well.
///
/// # Errors
/// A [`Refusal`] that names the rule that forbids it.
pub fn seize(process: pid_t) -> Result<Vec<pid_t>, Refusal> {
    if let Some(refusal) = rules::not_a_program(process) {
        return Err(refusal);
    }
    let mut seized: Vec<pid_t> = Vec::new();
    loop {
        let before = seized.len();
        for tid in tids(process) {
            if seized.contains(&tid) {
                continue;
            }
            match sys::seize_lightly(tid) {
                Ok(()) => seized.push(tid),
                // It has ended, or a seized thread started it.
                Err(_) if !rules::is_alive(tid) || is_ours(tid) => {}
                Err(error) => return Err(rules::why_not(process, &error)),
            }
        }
        if seized.len() == before {
            break;
        }
    }
    if seized.is_empty() {
        return Err(rules::why_not(process, &io::Error::from_raw_os_error(libc::ESRCH)));
    }
    Ok(seized)
}

/// Whether this thread already traces a task.
fn is_ours(tid: pid_t) -> bool {
    status(tid, "TracerPid") == Some(nix::unistd::gettid().to_string())
}
