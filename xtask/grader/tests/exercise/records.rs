//! What the record of a run says.

use grader::exercise::ids;
use grader::exercise::record::{Record, Target};
use io_uring::opcode;
use testkit::io_uring_or_skip;

use super::{fails, record};

#[test]
fn a_program_that_does_it_is_recorded() {
    if !io_uring_or_skip("a_program_that_does_it_is_recorded") {
        return;
    }
    let record = record("one_nop");
    record.need_exit().expect("status 0");
    record.need_entries("NOP", 1).expect("one NOP");
    record.need_all_submitted().expect("submitted");
    record.need_all_reaped().expect("reaped");
    assert_eq!(record.summary.enters, 1);
    assert!(record.stdout.lines().any(|line| line == "7"), "{}", record.stdout);
    fails(record.need_entries("NOP", 2), ids::NO_ENTRY);
    fails(record.need_entries("ACCEPT", 1), ids::NO_ENTRY);
}

#[test]
fn what_is_missing_has_its_id() {
    if !io_uring_or_skip("what_is_missing_has_its_id") {
        return;
    }
    fails(record("nothing").need_ring(), ids::NO_RING);
    let record_of = record("never_submitted");
    fails(record_of.need_entries("NOP", 1), ids::NOT_SUBMITTED);
    fails(record("never_reaped").need_all_reaped(), ids::NOT_REAPED);
}

#[test]
fn a_plain_call_is_told_from_one_to_the_standard_error() {
    if !io_uring_or_skip("a_plain_call_is_told_from_one_to_the_standard_error") {
        return;
    }
    let record = record("writes_by_itself");
    let writes = |record: &Record| record.plain_calls(&["write"]).len();
    // The harness prints a few lines, too.
    assert_eq!(writes(&record), writes(&self::record("one_nop")), "{:?}", record.calls);
    fails(record.need_no_plain(&["write"]), ids::NOT_THROUGH_RING);
    record.need_no_plain(&["accept4", "read"]).expect("none of these");
}

#[test]
fn whose_bytes_arrived_is_known_behind_every_descriptor() {
    if !io_uring_or_skip("whose_bytes_arrived_is_known_behind_every_descriptor") {
        return;
    }
    let record = record("writes_beside_the_line");
    let through_ring = record.bytes_into(Target::File(&record.stdout_is));
    assert_eq!(through_ring, 24, "a copy, and a slot: {:#?}", record.submitted("WRITE"));
    let by_hand = record.plain_writes_into(&record.stdout_is);
    assert!(by_hand.iter().any(|call| call.args[2] == 8), "{by_hand:#?}");
    assert!(record.plain_talk().is_empty(), "two local sockets are no connection");
    assert_eq!(record.out_of_sight(), None);
}

#[test]
fn what_no_check_can_look_into_is_found() {
    let mut programs = vec!["hides_a_child", "submits_by_aio"];
    if cfg!(target_arch = "x86_64") {
        programs.push("calls_as_32_bit");
    }
    for program in programs {
        let record = record(program);
        if program == "calls_as_32_bit" && record.status != Some(0) {
            testkit::skipped("what_no_check_can_look_into_is_found", "a kernel for 64 bits only");
            continue;
        }
        let failure = record.out_of_sight().expect(program);
        assert_eq!(failure.id, ids::NOT_THROUGH_RING, "{failure:#?}");
    }
}

#[test]
fn every_bad_end_has_its_id() {
    let failure = fails(record("panics").need_exit(), ids::PANIC);
    assert!(failure.rule.contains("the ring is on fire"), "{}", failure.rule);
    let failure = fails(record("aborts").need_exit(), ids::SIGNAL);
    assert!(failure.rule.contains("SIGABRT"), "{}", failure.rule);
    let failure = fails(record("status_three").need_exit(), ids::EXIT);
    assert!(failure.rule.contains("status 3"), "{}", failure.rule);
    record("status_three").need_exit_status(3).expect("as asked");
}

#[test]
fn a_program_that_fails_for_nothing_was_submitted_is_told_that() {
    if !io_uring_or_skip("a_program_that_fails_for_nothing_was_submitted_is_told_that") {
        return;
    }
    let failure = fails(record("never_submitted_and_fails").need_exit(), ids::NOT_SUBMITTED);
    assert!(failure.rule.contains("submission queue is full"), "{}", failure.rule);
}

#[test]
fn what_a_ring_leaves_behind_is_asked_of_proc() {
    if !io_uring_or_skip("what_a_ring_leaves_behind_is_asked_of_proc") {
        return;
    }
    let record = record("leaves_an_accept");
    let left = record.left().expect("the kernel tells");
    assert_eq!((left.slots, left.waiting), (vec![1], vec![u32::from(opcode::Accept::CODE)]));
}
