//! The tracer as a library, on programs that do one thing each (`trace/scenarios.rs`).

#[path = "trace/scenarios.rs"]
mod scenarios;

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::signal::Signal;
use ringtrace::event::{Event, What};
use ringtrace::launch::Program;
use ringtrace::ran::Place;
use ringtrace::summary::Summary;
use ringtrace::tracepoints::Tracepoints;
use ringtrace::{Outcome, Trace};
use testkit::{self, PATIENCE};

/// Not a test: the program that the tests trace.
#[test]
fn traced() {
    scenarios::run_if_asked();
}

fn program(scenario: &str) -> Program {
    Program {
        program: std::env::current_exe().expect("this program").into_os_string(),
        args: scenarios::AGAIN.map(Into::into).to_vec(),
        env: vec![("TRACED".into(), scenario.into())],
        ..Default::default()
    }
}

fn start(scenario: &str) -> Trace {
    Trace::start(program(scenario), false, Vec::new()).expect("a trace")
}

/// Traces a scenario to its end, and keeps the totals.
fn run(scenario: &str, fast: bool) -> Outcome {
    let program = Program { fast, ..program(scenario) };
    let trace = Trace::start(program, false, Vec::new()).expect("a trace");
    testkit::wait_until("the scenario to end", || trace.ended());
    trace.finish()
}

/// Traces a scenario to its end.
fn trace(scenario: &str) -> (Summary, Vec<Event>) {
    trace_if_it_can_run(scenario).expect("every kernel with io_uring can run it")
}

/// `None` if the scenario says that this kernel is too old for it.
fn trace_if_it_can_run(scenario: &str) -> Option<(Summary, Vec<Event>)> {
    let trace = start(scenario);
    testkit::wait_until("the scenario to end", || trace.ended());
    let events = trace.events();
    let Outcome { status, summary, failure } = trace.finish();
    assert_eq!(failure, None);
    assert!([0, scenarios::NOT_HERE].contains(&status), "{scenario} failed: {status}");
    let back = events.windows(2).find(|pair| pair[1].us < pair[0].us);
    assert_eq!(back, None, "{scenario}: events go back in time");
    (status == 0).then_some((summary, events))
}

fn entries(summary: &Summary, op: &str) -> u64 {
    summary.entries.get(op).copied().unwrap_or(0)
}

fn completions(summary: &Summary, op: &str) -> u64 {
    summary.completions.get(op).map_or(0, |completions| completions.count)
}

/// Entries and completions of NOPs, and nothing else.
fn assert_nops(summary: &Summary, count: u64) {
    assert_eq!(entries(summary, "NOP"), count, "{summary:#?}");
    assert_eq!(completions(summary, "NOP"), count, "{summary:#?}");
    assert_eq!((summary.all_entries(), summary.all_completions()), (count, count));
}

macro_rules! needs_io_uring {
    ($test:literal) => {
        if !testkit::io_uring_or_skip($test) {
            return;
        }
    };
}

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

#[test]
fn the_setup_is_told_as_asked_and_granted() {
    needs_io_uring!("the_setup_is_told_as_asked_and_granted");
    let (_, events) = trace("overflow");
    let setup = events
        .iter()
        .find_map(|event| match &event.what {
            What::Setup(setup) => Some(setup),
            _ => None,
        })
        .expect("a setup");
    assert_eq!((setup.asked_entries, setup.asked_cq_entries), (4, 4));
    assert!(setup.asked_flags.contains(&"CQSIZE".to_string()));
    let granted = setup.granted.as_ref().expect("a ring");
    assert_eq!((granted.sq_entries, granted.cq_entries), (4, 4));
    assert!(granted.features.contains(&"NODROP".to_string()));
}

#[test]
fn large_entries_and_completions() {
    needs_io_uring!("large_entries_and_completions");
    let (summary, events) = trace("large");
    assert_nops(&summary, 10);
    let large = |event: &Event| matches!(&event.what, What::Complete(c) if c.extra.is_some());
    assert_eq!(events.iter().filter(|event| large(event)).count(), 10);
}

#[test]
fn several_rings_are_told_apart() {
    needs_io_uring!("several_rings_are_told_apart");
    let (summary, events) = trace("two_rings");
    assert_nops(&summary, 4);
    let rings: Vec<u32> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Submit(submit) => Some(submit.ring),
            _ => None,
        })
        .collect();
    assert_eq!(rings, [1, 2, 2, 2]);
}

/// The fast mode reports the same events of the rings, and counts nothing else.
#[test]
fn the_fast_mode_misses_nothing_that_crosses_a_ring() {
    needs_io_uring!("the_fast_mode_misses_nothing_that_crosses_a_ring");
    for (scenario, nops) in [("nops", 3), ("registered", 3), ("threads", 100), ("fork", 4)] {
        let Outcome { status, summary, .. } = run(scenario, true);
        assert_eq!(status, 0, "{scenario}");
        assert_nops(&summary, nops);
        assert!(summary.other_calls.is_empty(), "{scenario}: {:?}", summary.other_calls);
    }
}

#[test]
fn a_registered_index_is_as_good_as_a_descriptor() {
    needs_io_uring!("a_registered_index_is_as_good_as_a_descriptor");
    let (summary, events) = trace("registered");
    assert_nops(&summary, 3);
    let by_index = |event: &&Event| {
        matches!(&event.what, What::Enter(enter)
            if enter.ring == Some(1) && enter.flags.iter().any(|flag| flag == "REGISTERED_RING"))
    };
    assert_eq!(events.iter().filter(by_index).count(), 3);
    assert_eq!(summary.registers["REGISTER_RING_FDS"], 1);
}

#[test]
fn a_ring_in_the_programs_own_memory() {
    needs_io_uring!("a_ring_in_the_programs_own_memory");
    let Some((summary, _)) = trace_if_it_can_run("own_memory") else { return };
    assert_nops(&summary, 10);
    assert_eq!(summary.never_reaped, 0);
}

#[test]
fn a_ring_that_grows() {
    needs_io_uring!("a_ring_that_grows");
    let Some((summary, events)) = trace_if_it_can_run("resize") else { return };
    assert_nops(&summary, 9);
    assert_eq!(summary.never_reaped, 9, "those from before the resize are still there");
    let sizes = events.iter().find_map(|event| match &event.what {
        What::Register(register) => register.resized.as_ref(),
        _ => None,
    });
    assert_eq!(sizes.map(|sizes| (sizes.sq_entries, sizes.cq_entries)), Some((16, 32)));
}

#[test]
fn a_queue_that_comes_round_many_times() {
    needs_io_uring!("a_queue_that_comes_round_many_times");
    let (summary, _) = trace("array");
    assert_nops(&summary, 100);
    assert_eq!(summary.enters, 25);
}

#[test]
fn threads_that_share_a_ring() {
    needs_io_uring!("threads_that_share_a_ring");
    let (summary, _) = trace("threads");
    assert_nops(&summary, 100);
    assert_eq!(summary.enters, 100);
}

/// The thread that waits often returns first: it has not submitted the entries that it sees.
#[test]
fn an_entry_is_the_threads_that_submitted_it() {
    needs_io_uring!("an_entry_is_the_threads_that_submitted_it");
    let (summary, events) = trace("submits_and_waits");
    assert_nops(&summary, 500);
    let submits = |event: &&Event| matches!(&event.what, What::Enter(e) if e.to_submit > 0);
    let submitter = events.iter().find(submits).expect("an enter that submits").tid;
    let mut entered = false;
    for event in &events {
        match &event.what {
            What::Enter(enter) if enter.to_submit > 0 => entered = true,
            What::Submit(submit) => {
                assert_eq!(event.tid, submitter, "entry {} is another's", submit.seq);
                assert!(entered, "entry {} before its enter", submit.seq);
                entered = false;
            }
            _ => {}
        }
    }
}

#[test]
fn an_operation_takes_as_long_as_it_did() {
    needs_io_uring!("an_operation_takes_as_long_as_it_did");
    let (summary, events) = trace("timeouts");
    let mut begun = HashMap::new();
    let (mut seen, mut entered) = (0, 0);
    for event in &events {
        match &event.what {
            What::Enter(_) => entered = event.us,
            // On a busy machine, the event of an entry can be later than its enter.
            What::Submit(submit) => {
                let asked = submit.details["nanoseconds"].as_u64().expect("a time");
                begun.insert(submit.seq, (entered, asked / 1000));
            }
            What::Complete(complete) => {
                let (since, asked) = begun[&complete.seq.expect("its entry")];
                let told = complete.after_us.expect("a time");
                assert!(told >= asked, "{asked} us told as {told}");
                assert!(told <= event.us - since, "the tracer's own time is not in it");
                seen += 1;
            }
            _ => {}
        }
    }
    assert_eq!(seen, 21);
    let took = &summary.times["TIMEOUT"];
    let completing = took.completing.spread().expect("their times");
    assert_eq!(completing.count, 21);
    assert!(completing.min_us >= 700 && completing.max_us >= 50_000, "{completing:?}");
    assert!(completing.median_us < completing.max_us, "{completing:?}");
    assert_eq!(took.reaping.spread().expect("their times").count, 21);
    assert!(summary.slowest.is_empty(), "a timeout takes as long as it is to");
}

#[test]
fn the_slowest_operations_are_listed() {
    needs_io_uring!("the_slowest_operations_are_listed");
    let (summary, _) = trace("places");
    let slowest: Vec<&str> = summary.slowest.iter().map(|it| it.op.as_str()).collect();
    assert_eq!(slowest.len(), 3, "{slowest:?}");
    assert!(summary.slowest.windows(2).all(|pair| pair[0].us >= pair[1].us));
    let receive = summary.slowest.iter().find(|it| it.op == "RECV").expect("the receive");
    assert_eq!(receive.ran.map(|ran| ran.place), Some(Place::Polled));
}

#[test]
fn every_completion_says_where_its_operation_ran() {
    needs_io_uring!("every_completion_says_where_its_operation_ran");
    let (summary, events) = trace("places");
    let mut ran: Vec<(&str, String)> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Complete(complete) => {
                Some((complete.meaning.as_str(), complete.ran?.to_string()))
            }
            _ => None,
        })
        .collect();
    ran.sort();
    // Whether the receive is listed as armed depends on the kernel.
    let expected = [("1", "inline"), ("2", "polled"), ("3", "worker?"), ("4", "timer")];
    let expected = expected.map(|(meaning, ran)| (meaning, ran.to_string()));
    ran[1].1 = ran[1].1.trim_end_matches('?').to_string();
    assert_eq!(ran, expected);
    let workers = events.iter().find_map(|event| match &event.what {
        What::Workers(workers) => Some(workers),
        _ => None,
    });
    let workers = workers.expect("a worker for the third entry");
    assert_eq!((workers.count, workers.new.len()), (1, 1));
    assert_eq!(workers.entries, [3]);
    assert_eq!((summary.workers, summary.completions["NOP"].ran.worker), (1, 1));
}

/// Compares the conclusions with what the kernel recorded of the same requests.
#[test]
fn where_operations_ran_is_what_the_kernel_recorded() {
    const TEST: &str = "where_operations_ran_is_what_the_kernel_recorded";
    needs_io_uring!("where_operations_ran_is_what_the_kernel_recorded");
    if let Err(refusal) = Tracepoints::begin() {
        return testkit::skipped(TEST, refusal);
    }
    for scenario in ["files", "forced", "sqpoll_forced", "talk", "submits_and_waits"] {
        // A task that loses its CPU in an enter looks like one that slept.
        let differences: Vec<String> =
            (0..3).map_while(|_| compare_places(scenario).err()).collect();
        assert!(differences.len() < 3, "{scenario}: {differences:#?}");
    }
}

/// Whether 19 of 20 completions are where the kernel recorded them.
fn compare_places(scenario: &str) -> Result<(), String> {
    let program = Program { tracepoints: true, ..program(scenario) };
    let trace = Trace::start(program, false, Vec::new()).expect("a trace");
    testkit::wait_until("the scenario to end", || trace.ended());
    let events = trace.events();
    let Outcome { status, summary, .. } = trace.finish();
    assert_eq!(status, 0, "{scenario}");
    let ran = summary.completions.values().map(|completions| completions.ran);
    let (exact, mistaken) =
        ran.fold((0, 0), |(exact, mistaken), it| (exact + it.exact, mistaken + it.mistaken));
    let elsewhere: BTreeSet<String> = events
        .iter()
        .filter_map(|event| match &event.what {
            What::Complete(complete) => {
                let (op, mistaken) = (complete.op.as_ref()?, complete.mistaken?);
                Some(format!("{op} ran {}, not {}", complete.ran?, mistaken.name()))
            }
            _ => None,
        })
        .collect();
    // Of a file in the page cache, the kernel does not record whether a disk was asked.
    if exact * 4 > summary.all_completions() && mistaken * 20 <= exact {
        return Ok(());
    }
    Err(format!("{mistaken} of {exact}: {elsewhere:?}"))
}

#[test]
fn children_are_followed() {
    needs_io_uring!("children_are_followed");
    let (summary, events) = trace("fork");
    assert_nops(&summary, 4);
    assert_eq!(summary.rings, 2);
    let programs = events.iter().filter(|event| matches!(event.what, What::Start(_))).count();
    assert_eq!(programs, 3, "the program and its two children");
}

#[test]
fn a_polled_ring_has_exact_totals() {
    needs_io_uring!("a_polled_ring_has_exact_totals");
    let (summary, _) = trace("sqpoll");
    assert_eq!((summary.all_entries(), summary.all_completions()), (100, 100));
    assert!(summary.polled);
    assert_eq!(summary.workers, 0, "the polling thread is no worker");
}

/// The memory that an entry pointed at may hold anything once the kernel thread has taken it.
#[test]
fn a_polled_rings_paths_are_true_or_left_out() {
    needs_io_uring!("a_polled_rings_paths_are_true_or_left_out");
    let (_, events) = trace("sqpoll_path");
    for event in &events {
        let What::Submit(submit) = &event.what else { continue };
        let path = submit.details.get("path");
        assert!(path.is_none_or(|path| path == "/dev/null"), "{submit:?}");
    }
}

#[test]
fn what_was_answered_unseen_is_not_under_way() {
    needs_io_uring!("what_was_answered_unseen_is_not_under_way");
    let (summary, _) = trace("sqpoll_flood");
    assert_eq!((summary.all_entries(), summary.all_completions()), (200_000, 200_000));
    // What was read between two looks that miss something can still be wrong.
    let queue = 256;
    let armed = summary.armed.len();
    assert!(armed <= queue, "{armed} under way, {} unseen", summary.unseen_completions);
}

#[test]
fn a_garbled_tail_makes_no_completions() {
    needs_io_uring!("a_garbled_tail_makes_no_completions");
    let Some((summary, _)) = trace_if_it_can_run("garbled_tail") else { return };
    assert_eq!((summary.all_entries(), summary.unseen_completions), (10, 0), "{summary:#?}");
}

#[test]
fn an_overflowing_queue_loses_nothing() {
    needs_io_uring!("an_overflowing_queue_loses_nothing");
    let (summary, _) = trace("overflow");
    assert_nops(&summary, 12);
    assert!(summary.overflows > 0, "the queue was full: {summary:#?}");
}

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
        let Outcome { status, summary, .. } = run("not_interrupted", fast);
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

/// It is not begun again: it was not cut short by a stop.
#[test]
fn a_wait_of_a_polled_device_may_end_early() {
    needs_io_uring!("a_wait_of_a_polled_device_may_end_early");
    for fast in [false, true] {
        let status = run("iopoll", fast).status;
        assert!([0, scenarios::NOT_HERE].contains(&status), "fast: {fast}, status {status}");
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

/// A tracer that kept a copy of the ring would keep its accept armed, and the port taken.
#[test]
fn a_closed_ring_is_let_go() {
    needs_io_uring!("a_closed_ring_is_let_go");
    let (summary, _) = trace("rebind");
    assert_eq!(summary.armed.len(), 1, "the accept was armed: {:?}", summary.armed);
}

#[test]
fn a_sleeping_enter_is_told_while_it_sleeps_and_the_program_can_be_killed() {
    needs_io_uring!("a_sleeping_enter_is_told_while_it_sleeps_and_the_program_can_be_killed");
    let trace = start("hang");
    let asleep = |events: &[Event]| {
        events.iter().any(|event| matches!(&event.what, What::Submit(s) if s.op == "TIMEOUT"))
    };
    assert!(trace.wait_for(PATIENCE, asleep), "{:?}", trace.events());
    assert_eq!(trace.summary().enters, 1);
    trace.signal(Signal::SIGKILL);
    let outcome = trace.finish();
    assert_eq!(outcome.status, 137);
    assert_eq!(outcome.summary.armed.len(), 1);
}

/// No event that came after it is reported before it.
#[test]
fn a_sleeping_enter_of_a_ring_that_is_not_followed_is_told_too() {
    needs_io_uring!("a_sleeping_enter_of_a_ring_that_is_not_followed_is_told_too");
    let ring = io_uring::IoUring::new(1).expect("a ring");
    // A duplicate is inherited; the ring's own descriptor is closed on exec.
    // SAFETY: the new descriptor has no other owner.
    let fd = unsafe { OwnedFd::from_raw_fd(libc::dup(ring.as_raw_fd())) };
    let mut program = program("inherited");
    program.env.push((scenarios::RING.into(), fd.as_raw_fd().to_string().into()));
    let trace = Trace::start(program, false, Vec::new()).expect("a trace");
    let entered = |events: &[Event]| events.iter().any(|e| matches!(e.what, What::Enter(_)));
    let told = trace.wait_for(PATIENCE, entered);
    trace.signal(Signal::SIGKILL);
    assert_eq!(trace.finish().status, 137);
    assert!(told, "the enter was not told while it slept");
}

#[test]
fn a_stop_ends_a_program_that_does_not_stop_by_itself() {
    needs_io_uring!("a_stop_ends_a_program_that_does_not_stop_by_itself");
    let trace = start("hang");
    let begun = |events: &[Event]| events.iter().any(|e| matches!(e.what, What::Setup(_)));
    assert!(trace.wait_for(PATIENCE, begun));
    let (outcome, events) = trace.stop(Duration::from_secs(5));
    assert_eq!(outcome.status, 130, "SIGINT was enough");
    assert!(matches!(events.last().map(|event| &event.what), Some(What::Exit(_))));
}

#[test]
fn a_stop_ends_a_program_from_a_job_in_the_background() {
    // As `cargo test &` in a script: SIGINT is ignored there.
    let mut again = std::process::Command::new("sh");
    again.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]).arg(std::env::current_exe().unwrap());
    again.args(["--exact", "a_stop_ends_a_program_that_does_not_stop_by_itself"]);
    let output = again.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("1 passed; 0 failed"), "{text}");
}
