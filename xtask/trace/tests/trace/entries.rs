//! Each event of an entry or a completion says what it is about.

use ringtrace::Ended;
use ringtrace::event::What;

use super::{assert_nops, run, trace, trace_if_it_can_run};

#[test]
fn every_entry_and_every_completion_is_told_in_order() {
    needs_io_uring!("every_entry_and_every_completion_is_told_in_order");
    let (summary, events) = trace("nops");
    let story: Vec<String> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Enter(enter) => Some(format!("enter {}", enter.to_submit)),
            What::Submit(submit) => {
                Some(format!("> {} {} {}", submit.seq, submit.op, submit.meaning))
            }
            What::Complete(complete) => Some(format!("< {} {}", complete.seq?, complete.meaning)),
            What::Return(back) => Some(format!("return {}", back.result)),
            What::Close(close) => Some(format!("close, {} unreaped", close.never_reaped)),
            _ => None,
        })
        .collect();
    assert_eq!(
        story,
        [
            "enter 2",
            "> 1 NOP \"hello\"",
            "> 2 NOP 2",
            "< 1 \"hello\"",
            "< 2 2",
            "return 2",
            "enter 1",
            "> 3 NOP 3",
            "< 3 3",
            "return 1",
            "close, 1 unreaped",
        ]
    );
    assert_nops(&summary, 3);
    assert_eq!((summary.rings, summary.enters, summary.never_reaped), (1, 2, 1));
    assert!(summary.other_calls["mmap"] > 0, "other calls are counted by name");
}

/// The fast mode reports the same events of the rings, and counts nothing else.
#[test]
fn the_fast_mode_misses_nothing_that_crosses_a_ring() {
    needs_io_uring!("the_fast_mode_misses_nothing_that_crosses_a_ring");
    for (scenario, nops) in [("nops", 3), ("registered", 3), ("threads", 100), ("fork", 4)] {
        let Ended { status, summary, .. } = run(scenario, true);
        assert_eq!(status, 0, "{scenario}");
        assert_nops(&summary, nops);
        assert!(summary.other_calls.is_empty(), "{scenario}: {:?}", summary.other_calls);
    }
}

#[test]
fn a_broken_chain_is_told_as_such() {
    needs_io_uring!("a_broken_chain_is_told_as_such");
    let (summary, events) = trace("links");
    let outcomes: Vec<(u64, Option<&str>)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Complete(complete) => Some((complete.seq?, complete.error.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(outcomes.len(), 3);
    assert!(outcomes.contains(&(1, None)) && outcomes.contains(&(3, Some("ECANCELED"))));
    assert!(summary.armed.is_empty(), "{:?}", summary.armed);
}

#[test]
fn the_same_user_data_everywhere_still_finds_the_operation() {
    needs_io_uring!("the_same_user_data_everywhere_still_finds_the_operation");
    let (_, events) = trace("same_user_data");
    let answers: Vec<(&str, Option<&str>)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Complete(complete) => Some((complete.op.as_deref()?, complete.error.as_deref())),
            _ => None,
        })
        .collect();
    assert_eq!(answers, [("NOP", None), ("NOP", None), ("TIMEOUT", Some("ETIME"))]);
}

/// What an entry points at is read as it goes in: later it may be gone.
#[test]
fn what_is_still_under_way_is_told_with_its_path() {
    needs_io_uring!("what_is_still_under_way_is_told_with_its_path");
    let (summary, events) = trace("fifo");
    for event in &events {
        if let What::Start(start) = &event.what {
            let _ = std::fs::remove_file(
                std::env::temp_dir().join(format!("xtask-fifo-{}", start.pid)),
            );
        }
    }
    let [open] = summary.armed.as_slice() else { panic!("one entry: {:?}", summary.armed) };
    assert_eq!(open.op, "OPENAT");
    assert!(open.words.contains("xtask-fifo") && open.words.contains("O_RDONLY"), "{open:?}");
}

#[test]
fn the_buffers_of_a_bundle_are_told_with_their_bytes() {
    needs_io_uring!("the_buffers_of_a_bundle_are_told_with_their_bytes");
    let Some((_, events)) = trace_if_it_can_run("bundle") else { return };
    let lines = ringtrace::text::lines(&events, 80);
    let told = |words: &str| lines.iter().any(|line| line.contains(words));
    assert!(told("REGISTER_PBUF_RING, 4 buffers, group 7"), "{lines:#?}");
    assert!(told("RECVSEND_BUNDLE, into buffers of group 7"), "{lines:#?}");
    assert!(told(r#"RECV 4 bytes "abcd" in buffer 2"#), "{lines:#?}");
    assert!(told(r#"RECV 12 bytes "hell"… in buffers 0 3 1"#), "{lines:#?}");
    let ids = events.iter().filter_map(|event| match &event.what {
        What::Complete(complete) => complete.details.get("buffers").cloned(),
        _ => None,
    });
    assert_eq!(ids.collect::<Vec<_>>(), [serde_json::json!([2]), serde_json::json!([0, 3, 1])]);
}

#[test]
fn garbage_is_told_and_survived() {
    needs_io_uring!("garbage_is_told_and_survived");
    let (summary, events) = trace("garbage");
    assert_eq!(summary.all_entries(), 500);
    let unknown = events.iter().any(|event| match &event.what {
        What::Submit(submit) => submit.op.starts_with("operation "),
        _ => false,
    });
    assert!(unknown, "an unknown operation is a number");
}
