//! Queries on records that the tests build.

use serde_json::{Map, Value, json};

use super::*;
use crate::exercise::ids;

/// A record to which events are added, a millisecond each.
#[derive(Default)]
struct Story(Record);

impl Story {
    fn tell(&mut self, what: What) {
        let us = self.0.events.len() as u64 * 1000;
        self.0.events.push(Event { us, tid: 1, what });
    }

    /// An entry; its number counts from 1.
    fn submit(&mut self, op: &str, opcode: u8, details: Value) -> u64 {
        let seq = self.0.submits().count() as u64 + 1;
        let Value::Object(details) = details else { panic!("{details} is not an object") };
        self.tell(What::Submit(Submit {
            ring: 1,
            seq,
            op: op.to_string(),
            opcode,
            flags: Vec::new(),
            user_data: user_data(seq),
            meaning: String::new(),
            details,
            words: String::new(),
            file: None,
            addr: 0,
        }));
        seq
    }

    fn last(&mut self) -> &mut Submit {
        match self.0.events.last_mut().map(|event| &mut event.what) {
            Some(What::Submit(submit)) => submit,
            other => panic!("the last event is {other:?}"),
        }
    }

    fn complete(&mut self, seq: u64, res: i32) {
        let op = self.0.submits().find(|submit| submit.seq == seq).map(|it| it.op.clone());
        self.tell(What::Complete(Complete {
            ring: 1,
            seq: Some(seq),
            op,
            ambiguous: false,
            user_data: user_data(seq),
            meaning: String::new(),
            res,
            error: None,
            words: res.to_string(),
            details: Map::new(),
            flags: Vec::new(),
            buffer: None,
            more: false,
            after_us: None,
            ran: None,
            mistaken: None,
            extra: None,
        }));
    }

    /// A client comes into a slot.
    fn accept(&mut self, slot: i32) {
        let accept = self.submit("ACCEPT", 13, json!({"fd": 3, "into_slot": "any"}));
        self.complete(accept, slot);
    }

    fn send(&mut self, slot: u32, bytes: i32) {
        let send = self.submit("SEND", 26, json!({"slot": slot, "bytes": bytes}));
        self.complete(send, bytes);
    }
}

fn call(name: &str, us: u64) -> OtherCall {
    OtherCall { us, name: name.to_string(), ..OtherCall::default() }
}

#[test]
fn bytes_are_those_of_completions() {
    let mut story = Story::default();
    story.send(4, 10);
    story.send(4, 7);
    story.send(5, 100);
    let failed = story.submit("SEND", 26, json!({"slot": 4, "bytes": 9}));
    story.complete(failed, -32);
    let splice = story.submit("SPLICE", 30, json!({"from_slot": 4, "fd": 1, "bytes": 50}));
    story.last().file = Some("pipe:[9]".to_string());
    story.complete(splice, 30);
    story.submit("SEND", 26, json!({"slot": 6, "bytes": 11}));
    story.last().flags.push("CQE_SKIP_SUCCESS".to_string());
    let record = story.0;
    assert_eq!(record.bytes_into(Target::Slot(4)), 17);
    assert_eq!(record.bytes_out_of(Target::Slot(4)), 30);
    assert_eq!(record.bytes_into(Target::Fd(1)), 30);
    assert_eq!(record.bytes_into(Target::File("pipe:[9]")), 30);
    assert_eq!(record.bytes_into(Target::Slot(6)), 11, "it answers only if it fails");
}

#[test]
fn the_second_completion_of_a_zero_copy_send_moves_nothing() {
    let mut story = Story::default();
    let send = story.submit("SEND_ZC", 47, json!({"slot": 4, "bytes": 10}));
    story.complete(send, 10);
    story.complete(send, 7);
    if let Some(What::Complete(complete)) = story.0.events.last_mut().map(|it| &mut it.what) {
        complete.flags.push("NOTIF".to_string());
    }
    assert_eq!(story.0.bytes_into(Target::Slot(4)), 10);
}

#[test]
fn clients_who_share_a_slot_are_told_apart() {
    let mut story = Story::default();
    story.accept(0);
    story.send(0, 5);
    let close = story.submit("CLOSE", 19, json!({"slot": 0}));
    story.complete(close, 0);
    story.accept(0);
    let receive = story.submit("RECV", 27, json!({"slot": 0, "bytes": 64}));
    story.complete(receive, 12);
    let served = story.0.served();
    let told: Vec<_> = served.iter().map(|it| (it.sent, it.received, it.left.is_some())).collect();
    assert_eq!(told, [(5, 0, true), (0, 12, false)]);
    assert_eq!(served[1].at, Target::Slot(0));
}

#[test]
fn a_slot_that_the_program_chose_is_the_one_that_is_filled() {
    let mut story = Story::default();
    let socket = story.submit("SOCKET", 45, json!({"into_slot": 7}));
    story.complete(socket, 0);
    let accept = story.submit("ACCEPT", 13, json!({"slot": 7, "into_slot": 3}));
    story.complete(accept, 0);
    assert_eq!(story.0.served()[0].at, Target::Slot(3));
    assert_eq!(story.0.slots_of_clients(), [3], "the listener's is not among them");
}

#[test]
fn a_close_does_not_end_what_is_in_flight() {
    let mut story = Story::default();
    story.accept(2);
    let receive = story.submit("RECV", 27, json!({"slot": 2, "bytes": 64}));
    let close = story.submit("CLOSE", 19, json!({"slot": 2}));
    story.complete(close, 0);
    story.complete(receive, 0);
    let under: Vec<_> = story.0.closed_under().iter().map(|(a, b)| (a.seq, b.seq)).collect();
    assert_eq!(under, [(close, receive)]);
    story.accept(2);
    let receive = story.submit("RECV", 27, json!({"slot": 2, "bytes": 64}));
    let close = story.submit("CLOSE", 19, json!({"slot": 2}));
    story.complete(receive, 0);
    story.complete(close, 0);
    assert_eq!(story.0.closed_under().len(), 1, "in this order it is right");
}

#[test]
fn each_tag_has_a_completion_of_its_own() {
    let mut story = Story::default();
    let (first, second) = (story.submit("NOP", 0, json!({})), story.submit("NOP", 0, json!({})));
    story.complete(first, 0);
    let missing = story.0.need_answered("NOP", &[first, second]).expect_err("one is missing");
    assert_eq!(missing.id, ids::NOT_REAPED);
    story.0.summary.unseen_completions = 1;
    story.0.need_answered("NOP", &[first, second]).expect("it may have gone by");
    story.complete(second, -22);
    let failed = story.0.need_answered("NOP", &[first, second]).expect_err("it failed");
    assert_eq!(failed.id, ids::FAILED_ENTRY);
    story.submit("NOP", 0, json!({}));
    story.last().flags.push("CQE_SKIP_SUCCESS".to_string());
    let silent = story.0.need_answered("NOP", &[first]).expect_err("a silent one");
    assert_eq!(silent.id, ids::FLAGS);
}

#[test]
fn calls_count_from_the_beginning_unless_the_loader_makes_them_too() {
    let mut story = Story::default();
    story.tell(What::Setup(Setup {
        ring: Some(1),
        result: 3,
        error: None,
        not_followed: None,
        asked_entries: 8,
        asked_cq_entries: 0,
        asked_flags: Vec::new(),
        granted: Some(Granted {
            sq_entries: 8,
            cq_entries: 16,
            flags: Vec::new(),
            features: Vec::new(),
            sq_thread_idle: 0,
            sq_thread_cpu: 0,
        }),
    }));
    story.0.events[0].us = 500;
    story.0.calls = vec![call("accept4", 10), call("read", 20), call("read", 600)];
    let times = |names: &[&str]| -> Vec<u64> {
        story.0.plain_calls(names).iter().map(|call| call.us).collect()
    };
    assert_eq!(times(&["accept4"]), [10]);
    assert_eq!(times(&["read"]), [600]);
}

#[test]
fn bytes_over_a_connection_are_found_behind_any_descriptor() {
    let on = |name: &str, file: &str| OtherCall {
        into: name.starts_with("write").then(|| file.to_string()),
        of: name.starts_with("read").then(|| file.to_string()),
        ..call(name, 0)
    };
    let calls = vec![
        on("write", "anon_inode:[eventfd]"),
        on("write", "unix:[4]"),
        on("read", "socket:[5]"),
        OtherCall { of: Some("socket:[5]".to_string()), ..call("close", 0) },
        on("writev", "socket:[5]"),
    ];
    let record = Record { calls, ..Record::default() };
    let told: Vec<&str> = record.plain_talk().iter().map(|call| call.name.as_str()).collect();
    assert_eq!(told, ["read", "writev"]);
}

#[test]
fn a_wait_in_another_call_is_a_wait() {
    let calls = vec![call("poll", 10), call("futex", 11), call("nanosleep", 90)];
    let mut story = Story(Record { calls, ..Record::default() });
    story.tell(What::Enter(Enter {
        ring: Some(1),
        enter: 1,
        to_submit: 0,
        min_complete: 1,
        at_most_us: None,
        min_wait_us: None,
        flags: Vec::new(),
        fd: 3,
        unreaped: None,
        answer: None,
    }));
    assert_eq!(story.0.waits_between(0, 50), 2, "the enter has not returned");
    assert_eq!(story.0.waits_between(50, 100), 1);
}

#[test]
fn an_error_before_the_first_ring_is_said() {
    let stderr = "Error: number too large to fit in target type".to_string();
    let failed = Record { status: Some(1), stderr, ..Record::default() };
    let failure = failed.need_ring().expect_err("no ring");
    assert_eq!(failure.id, ids::EXIT);
    assert!(failure.rule.contains("number too large"), "{}", failure.rule);
    let idle = Record { status: Some(0), ..Record::default() };
    assert_eq!(idle.need_ring().expect_err("no ring").id, ids::NO_RING);
}

#[test]
fn the_length_of_an_output_that_is_not_utf8_is_not_said() {
    let printed = |bytes: &[u8]| {
        let stdout = String::from_utf8_lossy(bytes).into_owned();
        Record { stdout, ..Record::default() }.printed()
    };
    assert_eq!(printed(b"a"), r#"printed, 1 byte: "a""#);
    assert_eq!(printed(b"a\xff"), "printed, not all of it UTF-8: \"a\u{fffd}\"");
}

#[test]
fn a_polling_thread_needs_time_and_no_submit() {
    let mut record = Record::default();
    record.summary.never_submitted = 1;
    let rule = |record: &Record| record.need_all_submitted().expect_err("left behind").rule;
    assert!(rule(&record).contains("calls io_uring_enter"), "{}", rule(&record));
    record.summary.polled = true;
    assert!(rule(&record).contains("polling thread"), "{}", rule(&record));
}
