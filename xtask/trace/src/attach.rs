//! Joining a program that runs already: `ringtrace --attach PID`.
//!
//! The tracer seizes every thread (`PTRACE_SEIZE`) without stopping it; [`rings`] finds the rings
//! of the process. Detaching needs no stop either: when the tracing thread ends, the kernel
//! detaches its tracees and wakes none of them.

mod rings;
mod rules;

use std::fs;
use std::io;

use common::environment::Refusal;
use libc::pid_t;

use crate::sys;
pub use rings::{Found, found, holds_a_ring, without_descriptor};

/// What `/proc` says of a thread, one line for each field.
pub fn status(tid: pid_t, field: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{tid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.map(|value| value.trim().to_string())
}

/// How often the thread has left its CPU so far. The number stays the same while it sleeps.
pub fn switches(tid: pid_t) -> u64 {
    let count = |field| status(tid, field).and_then(|value| value.parse::<u64>().ok());
    let fields = ["voluntary_ctxt_switches", "nonvoluntary_ctxt_switches"];
    fields.into_iter().filter_map(count).sum()
}

/// The system call that a thread sleeps in: its number and arguments, and where its stack ends.
pub fn sleeps_in(tid: pid_t) -> Option<(u64, [u64; 6], u64)> {
    let text = fs::read_to_string(format!("/proc/{tid}/syscall")).ok()?;
    let mut words = text.split_whitespace();
    let number = words.next()?.parse().ok()?;
    let mut values = [0; 7];
    for (value, word) in values.iter_mut().zip(words) {
        *value = u64::from_str_radix(word.strip_prefix("0x")?, 16).ok()?;
    }
    let [args @ .., stack] = values;
    Some((number, args, stack))
}

/// The threads of a process, without those that the kernel runs for it.
pub fn threads(process: pid_t) -> Vec<pid_t> {
    let Ok(folder) = fs::read_dir(format!("/proc/{process}/task")) else { return Vec::new() };
    let tids = folder.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    tids.filter(|tid| !is_the_kernels(*tid)).collect()
}

/// Whether a thread is a worker or a poller of io_uring. Seizing it would end its operations with a
/// result that no program expects.
fn is_the_kernels(tid: pid_t) -> bool {
    /// `PF_IO_WORKER` and `PF_USER_WORKER` of the kernel's `linux/sched.h`.
    const WORKERS: u64 = 0x10 | 0x4000;
    let Ok(stat) = fs::read_to_string(format!("/proc/{tid}/stat")) else { return false };
    // After the name, which may hold anything, `proc_pid_stat(5)` counts from 3; the flags are 9.
    let flags = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(9 - 3));
    flags.and_then(|flags| flags.parse::<u64>().ok()).is_some_and(|flags| flags & WORKERS != 0)
}

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
        for tid in threads(process) {
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
