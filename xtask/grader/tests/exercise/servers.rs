//! A server and its clients.

use std::io::Read;

use grader::exercise::checks::{left, served};
use grader::exercise::ids;
use grader::exercise::run::Run;
use testkit::io_uring_or_skip;

use super::{fails, launch};

#[test]
fn a_client_that_waits_in_vain_is_told_what_the_server_waits_for() {
    if !io_uring_or_skip("a_client_that_waits_in_vain_is_told_what_the_server_waits_for") {
        return;
    }
    let mut run = launch("serves_one").start().expect("a run");
    let mut client = run.connect().expect("a server that listens");
    // Unlike a plain read, it begins again when a signal interrupts it.
    let error = client.read_exact(&mut [0; 1]).expect_err("no answer");
    let failure = run.trouble("A client waits for an answer.", &error);
    assert_eq!(failure.id, ids::NO_ANSWER, "{failure:#?}");
    let last = failure.kernel.last().expect("a line");
    assert!(last.contains("it waits for 2; in the queue: 1"), "{last}");
    assert_eq!(failure.client, "A client waits for an answer.");
}

/// Serves two clients. Returns the run.
fn two_clients(program: &str) -> Run {
    let mut run = launch(program).start().expect("a run");
    for _ in 0..2 {
        let mut client = run.connect().expect("a server that listens");
        let mut got = Vec::new();
        client.read_to_end(&mut got).expect("an answer");
        assert_eq!(got, b"hi");
    }
    run
}

#[test]
fn slots_are_counted_that_clients_have_left() {
    if !io_uring_or_skip("slots_are_counted_that_clients_have_left") {
        return;
    }
    let mut run = two_clients("serves_in_slots");
    left::need_free_slots(&mut run, "Two clients came.").expect("the listener's does not count");
    let mut run = two_clients("keeps_the_slots");
    let failure = left::need_free_slots(&mut run, "Two clients came.").expect_err("two slots");
    assert_eq!(failure.id, ids::NOT_CLOSED);
    let last = failure.kernel.last().expect("a line");
    assert_eq!(last, "now: slots 0, 1 are taken");
}

#[test]
fn what_clients_got_is_what_the_ring_sent() {
    if !io_uring_or_skip("what_clients_got_is_what_the_ring_sent") {
        return;
    }
    let record = two_clients("serves_in_slots").record();
    served::need_slots(&record).expect("all in slots");
    served::need_served(&record, 2, 4).expect("two bytes each");
    fails(served::need_served(&record, 3, 4), ids::NOT_THROUGH_RING);
    fails(served::need_served(&record, 2, 5), ids::NOT_THROUGH_RING);
    let kernel = common::environment::kernel_release();
    if grader::exercise::exercises::release(&kernel) < Some((6, 8)) {
        testkit::skipped(
            "what_clients_got_is_what_the_ring_sent",
            "no FIXED_FD_INSTALL before 6.8",
        );
        return;
    }
    let record = two_clients("serves_behind_a_copy").record();
    let failure = fails(served::need_slots(&record), ids::NOT_THROUGH_RING);
    assert!(failure.rule.starts_with("write(2) moves bytes"), "{failure:#?}");
}

#[test]
fn a_server_that_ends_while_it_is_needed_is_told_so() {
    if !io_uring_or_skip("a_server_that_ends_while_it_is_needed_is_told_so") {
        return;
    }
    let mut run = launch("closes_after_one").start().expect("a run");
    drop(run.connect().expect("the first client"));
    testkit::wait_until("the server's end", || run.ended());
    let failure = run.connect().expect_err("nobody listens any more");
    assert_eq!(failure.id, ids::ENDED_EARLY, "{failure:#?}");
    // The record stays available.
    assert_eq!(run.record().completed("ACCEPT").len(), 1);
}

#[test]
fn a_program_that_does_not_listen_is_told_so() {
    let mut run = launch("nothing").start().expect("a run");
    let failure = run.listening().expect_err("no listener");
    assert_eq!(failure.id, ids::NO_RING, "{failure:#?}");
    let mut run = launch("sleeps").start().expect("a run");
    let failure = run.listening().expect_err("no listener");
    assert_eq!(failure.id, ids::NO_LISTENER, "{failure:#?}");
}
