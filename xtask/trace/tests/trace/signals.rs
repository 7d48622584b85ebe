//! A wait ends as it would without a tracer.

use ringtrace::Ended;

use super::{run, scenarios, trace};

#[test]
fn an_interrupted_wait_is_counted_and_its_entry_stays_armed() {
    needs_io_uring!("an_interrupted_wait_is_counted_and_its_entry_stays_armed");
    let (summary, _) = trace("interrupted");
    assert_eq!(summary.failed_enters.get("EINTR"), Some(&1));
    assert_eq!(summary.armed.len(), 1);
    assert_eq!(summary.armed[0].op, "TIMEOUT");
}

/// Under a tracer the kernel wakes a task for a signal that it would otherwise drop.
#[test]
fn a_signal_that_the_program_ignores_ends_no_wait() {
    needs_io_uring!("a_signal_that_the_program_ignores_ends_no_wait");
    for fast in [false, true] {
        let Ended { status, summary, .. } = run("not_interrupted", fast);
        assert_eq!((status, summary.failed_enters.len()), (0, 0), "fast: {fast}");
    }
}

/// Under a tracer, the thread that sends a signal to its process may take it, although the kernel
/// woke another one for it.
#[test]
fn a_signal_that_another_thread_takes_ends_no_wait() {
    needs_io_uring!("a_signal_that_another_thread_takes_ends_no_wait");
    for fast in [false, true] {
        assert_eq!(run("interrupted_by_whom", fast).status, 0, "fast: {fast}");
    }
}

/// The tracer does not begin such a wait again, because no stop has cut it short.
#[test]
fn a_wait_of_a_polled_device_may_end_early() {
    needs_io_uring!("a_wait_of_a_polled_device_may_end_early");
    for fast in [false, true] {
        let status = run("iopoll", fast).status;
        assert!(
            [0, scenarios::shared::NOT_HERE].contains(&status),
            "fast: {fast}, status {status}"
        );
    }
}
