//! Signals that a program ignores must not end its waits.
//!
//! Without a tracer the kernel drops such a signal when it is sent. A tracer sees it first
//! (`sig_ignored` in `kernel/signal.c`), so the kernel wakes the task, and its `io_uring_enter`
//! ends with `EINTR` or with too few completions. Therefore a task that is about to wait blocks the
//! signals that it ignores, until the call returns.

use libc::pid_t;

use crate::sys;
use crate::syscalls::{ANSWERS_AT_A_SIGNAL, Call};
use crate::threads;

/// Lets a task that stands at the entry of `io_uring_enter` block the signals it ignores.
/// Returns the set to [`restore`]; `None` if nothing was changed.
pub(super) fn block_ignored(pid: pid_t, call: &Call) -> Option<u64> {
    if !waits(call) || has_a_mask_of_its_own(pid, call) {
        return None;
    }
    let before = sys::blocked_signals(pid).ok()?;
    let during = before | ignored(pid)?;
    if during == before {
        return None;
    }
    sys::block_signals(pid, during).ok()?;
    Some(before)
}

/// Restores the signal set of a task that stands at the exit of the call.
pub(super) fn restore(pid: pid_t, before: u64) {
    // A task that was killed meanwhile no longer needs it.
    let _ = sys::block_signals(pid, before);
}

/// The signals that will reach a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Awaited {
    /// No signal.
    Nothing,
    /// Signals that it ignores.
    Ignored,
    /// One that does something.
    Handled,
    /// One for its process: this thread or another one takes it.
    HandledBySome,
}

/// The signals that wait for a task.
pub(super) fn for_task(pid: pid_t) -> Awaited {
    let (own, shared) = pending(pid);
    let ignored = ignored(pid).unwrap_or(0);
    match (own & !ignored, shared & !ignored) {
        (1.., _) => Awaited::Handled,
        (_, 1..) if ANSWERS_AT_A_SIGNAL => Awaited::HandledBySome,
        (_, 1..) => Awaited::Handled,
        _ if own | shared != 0 => Awaited::Ignored,
        _ => Awaited::Nothing,
    }
}

/// Whether a signal waits for a task, or for its process, that does something.
pub(super) fn handles_one(pid: pid_t) -> bool {
    matches!(for_task(pid), Awaited::Handled | Awaited::HandledBySome)
}

/// Whether a signal is of no concern to a task.
pub(super) fn is_ignored(pid: pid_t, signal: i32) -> bool {
    ignored(pid).is_some_and(|set| signal <= 31 && set & 1 << (signal - 1) != 0)
}

/// The signals that wait for a task, and for its process, and that it does not block.
fn pending(pid: pid_t) -> (u64, u64) {
    let set = |field| {
        let set = threads::status(pid, field)?;
        u64::from_str_radix(&set, 16).ok()
    };
    let [own, shared, blocked] =
        ["SigPnd", "ShdPnd", "SigBlk"].map(|field| set(field).unwrap_or(0));
    (own & !blocked, shared & !blocked)
}

fn waits(call: &Call) -> bool {
    const GETEVENTS: u64 = 1 << 0;
    const SQ_WAIT: u64 = 1 << 2;
    let [_, _, min_complete, flags, ..] = call.args;
    flags & SQ_WAIT != 0 || (flags & GETEVENTS != 0 && min_complete > 0)
}

/// Whether the call brings its own signal mask: the kernel then swaps masks itself, and
/// swapping them back here would lose the signal that ended the wait.
fn has_a_mask_of_its_own(pid: pid_t, call: &Call) -> bool {
    const EXT_ARG: u64 = 1 << 3;
    const EXT_ARG_REG: u64 = 1 << 6;
    let [_, _, _, flags, argument, _] = call.args;
    if flags & EXT_ARG_REG != 0 {
        // It lies in registered memory, whose address is not known here.
        return true;
    }
    if flags & EXT_ARG == 0 {
        return argument != 0;
    }
    let mut mask = [0; 8];
    sys::read_memory(pid, argument, &mut mask).is_err() || mask != [0; 8]
}

/// The standard signals that a task ignores, by its choice or by default. Real-time signals
/// are left out: each one sent would stay queued until the call returns.
fn ignored(pid: pid_t) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/stat")).ok()?;
    // The name is in parentheses and may hold any character. After it, `proc_pid_stat(5)`
    // counts from 3: fields 33 and 34 are the signals that are ignored and caught.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(33 - 3);
    let by_choice: u64 = fields.next()?.parse().ok()?;
    let caught: u64 = fields.next()?.parse().ok()?;
    let by_default = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH]
        .into_iter()
        .fold(0, |set, signal| set | 1 << (signal - 1));
    Some(by_choice | (by_default & !caught))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_by_default_and_by_choice() {
        let bit = |signal: i32| 1_u64 << (signal - 1);
        let me = nix::unistd::gettid().as_raw();
        let set = ignored(me).expect("our own signals");
        assert_ne!(set & bit(libc::SIGWINCH), 0, "ignored by default");
        assert_ne!(set & bit(libc::SIGPIPE), 0, "Rust ignores it");
        assert_eq!(set & bit(libc::SIGTERM), 0, "ends a program by default");
    }

    #[test]
    fn a_call_that_brings_a_mask_is_left_alone() {
        let enter = |flags, argument| Call {
            number: libc::SYS_io_uring_enter as u64,
            args: [3, 1, 1, flags, argument, 8],
            native: true,
        };
        let me = std::process::id() as pid_t;
        let (none, some) = ([0_u64; 3], [8_u64, 0, 0]);
        assert!(!has_a_mask_of_its_own(me, &enter(1, 0)));
        assert!(has_a_mask_of_its_own(me, &enter(1, some.as_ptr() as u64)));
        assert!(!has_a_mask_of_its_own(me, &enter(1 | 1 << 3, none.as_ptr() as u64)));
        assert!(has_a_mask_of_its_own(me, &enter(1 | 1 << 3, some.as_ptr() as u64)));
    }
}
