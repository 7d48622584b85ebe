//! Why a program hangs.

use std::time::Duration;

use grader::exercise::failure::Failure;
use grader::exercise::ids::{self, Id};
use testkit::io_uring_or_skip;

use super::launch;

#[track_caller]
fn hang(program: &str, id: Id) -> Failure {
    let failure = launch(program).to_end().expect_err("a program that hangs");
    assert_eq!(failure.id, id, "{failure:#?}");
    assert_eq!(failure.client, format!("The program was run as {program}."));
    assert!(!failure.rule.is_empty() && !failure.kernel.is_empty(), "{failure:#?}");
    failure
}

#[test]
fn a_loop_after_the_last_completion_is_not_told_to_wait() {
    if !io_uring_or_skip("a_loop_after_the_last_completion_is_not_told_to_wait") {
        return;
    }
    let failure = hang("ends_in_a_loop", ids::SPIN);
    assert!(failure.rule.contains("nothing left to wait for"), "{}", failure.rule);
    assert!(failure.rule.contains("It has printed"), "{}", failure.rule);
}

#[test]
fn a_wait_for_what_nobody_submitted_is_found_out_at_once() {
    if !io_uring_or_skip("a_wait_for_what_nobody_submitted_is_found_out_at_once") {
        return;
    }
    let launch = launch("waits_for_two").patience(Duration::from_secs(600));
    let failure = launch.to_end().expect_err("a hang");
    assert_eq!(failure.id, ids::HANG_WAIT);
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("it waits for 2; in the queue: 1"), "{last}");
}

#[test]
fn entries_that_were_pushed_and_never_submitted_explain_a_hang() {
    if !io_uring_or_skip("entries_that_were_pushed_and_never_submitted_explain_a_hang") {
        return;
    }
    let failure = hang("spins_unsubmitted", ids::HANG_PUSHED);
    assert!(failure.kernel[0].contains("1 entry is pushed"), "{failure:#?}");
}

#[test]
fn completions_that_are_never_taken_explain_a_hang() {
    if !io_uring_or_skip("completions_that_are_never_taken_explain_a_hang") {
        return;
    }
    hang("ignores_the_answer", ids::HANG_NOT_REAPED);
}

#[test]
fn an_operation_that_does_not_complete_explains_a_hang() {
    if !io_uring_or_skip("an_operation_that_does_not_complete_explains_a_hang") {
        return;
    }
    let failure = hang("waits_for_a_pipe", ids::HANG_IN_FLIGHT);
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("in flight: READ fd"), "{last}");
}

#[test]
fn an_operation_that_is_silent_when_it_succeeds_may_be_in_flight() {
    if !io_uring_or_skip("an_operation_that_is_silent_when_it_succeeds_may_be_in_flight") {
        return;
    }
    let failure = hang("waits_silently", ids::HANG_IN_FLIGHT);
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("READ fd") && last.contains("CQE_SKIP_SUCCESS"), "{last}");
}

#[test]
fn an_error_that_is_tried_again_for_ever_is_named() {
    if !io_uring_or_skip("an_error_that_is_tried_again_for_ever_is_named") {
        return;
    }
    let failure = hang("retries_for_ever", ids::SPIN);
    assert!(failure.rule.contains("a WRITE is answered with ENOSPC"), "{failure:#?}");
}

#[test]
fn who_polls_a_queue_that_was_never_published_is_not_told_to_enter() {
    if !io_uring_or_skip("who_polls_a_queue_that_was_never_published_is_not_told_to_enter") {
        return;
    }
    let failure = hang("publishes_nothing", ids::SPIN);
    assert!(failure.rule.contains("when they are published"), "{failure:#?}");
}

#[test]
fn sleeping_elsewhere_and_spinning_are_told_apart() {
    let failure = hang("sleeps", ids::HANG_CALL);
    assert!(failure.rule.contains("nanosleep(2)"), "{}", failure.rule);
    hang("spins", ids::SPIN);
}

#[test]
fn a_program_that_stops_or_ends_before_its_child_is_not_said_to_burn_cpu_time() {
    let failure = hang("stops", ids::HANG_CALL);
    assert!(failure.rule.contains("SIGCONT"), "{failure:#?}");
    let failure = hang("ends_before_its_child", ids::HANG_CALL);
    assert!(failure.rule.contains("all that it started"), "{failure:#?}");
}

#[test]
fn something_that_happens_all_along_is_no_hang() {
    if !io_uring_or_skip("something_that_happens_all_along_is_no_hang") {
        return;
    }
    let record = launch("takes_its_time").patience(Duration::from_secs(1)).to_end();
    assert_eq!(record.expect("no hang").completed("TIMEOUT").len(), 5);
}
