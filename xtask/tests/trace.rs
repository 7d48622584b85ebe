//! The tracer, on programs that do one thing each (`trace/scenarios.rs`) and on the days.

#[path = "trace/scenarios.rs"]
mod scenarios;
#[path = "trace/schema.rs"]
mod schema;

use std::io::{BufRead, BufReader, Read};
use std::process::{Command, Stdio};
use std::time::Duration;

use common::drive::{self, PATIENCE};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use xtask::trace::event::{Event, What};
use xtask::trace::launch::Program;
use xtask::trace::summary::Summary;
use xtask::trace::{Outcome, Trace};

/// The arguments that make this test executable one of the scenarios.
pub const AGAIN: [&str; 4] = ["--exact", "traced", "--nocapture", "--quiet"];

/// Not a test of its own: the program that the others trace.
#[test]
fn traced() {
    let Some(name) = std::env::var_os("XTASK_TRACED") else { return };
    let scenario = scenarios::ALL.iter().find(|(known, _)| name == **known);
    scenario.expect("a scenario of that name").1();
    // Not back into the harness, whose own ways would be in the trace.
    std::process::exit(0);
}

/// The exit status of a scenario whose feature this kernel has not got.
const NOT_HERE: i32 = 77;

/// Ends a scenario that this kernel cannot run.
pub fn not_here(why: &str) {
    eprintln!("SKIPPED: {why}");
    std::process::exit(NOT_HERE);
}

fn program(scenario: &str) -> Program {
    Program {
        program: std::env::current_exe().expect("this program").into_os_string(),
        args: AGAIN.map(Into::into).to_vec(),
        env: vec![("XTASK_TRACED".into(), scenario.into())],
        ..Default::default()
    }
}

fn start(scenario: &str) -> Trace {
    Trace::start(program(scenario), false, Vec::new()).expect("a trace")
}

/// Traces a scenario to its end.
fn trace(scenario: &str) -> (Summary, Vec<Event>) {
    trace_if_it_can_run(scenario).expect("every kernel with io_uring can run it")
}

/// `None` if the scenario says that this kernel is too old for it.
fn trace_if_it_can_run(scenario: &str) -> Option<(Summary, Vec<Event>)> {
    let trace = start(scenario);
    drive::wait_until("the scenario to end", || trace.ended());
    let events = trace.events();
    let Outcome { status, summary, failure } = trace.finish();
    assert_eq!(failure, None);
    assert!([0, NOT_HERE].contains(&status), "{scenario} failed: {status}");
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
        if !drive::io_uring_or_skip($test) {
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

/// The fast mode tells the same story of the rings, and counts nothing else.
#[test]
fn the_fast_mode_misses_nothing_that_crosses_a_ring() {
    needs_io_uring!("the_fast_mode_misses_nothing_that_crosses_a_ring");
    for (scenario, nops) in [("nops", 3), ("registered", 3), ("threads", 100), ("fork", 4)] {
        let program = Program { fast: true, ..program(scenario) };
        let trace = Trace::start(program, false, Vec::new()).expect("a trace");
        drive::wait_until("the scenario to end", || trace.ended());
        let Outcome { status, summary, .. } = trace.finish();
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
    let (summary, _) = trace("same_user_data");
    assert_eq!((completions(&summary, "NOP"), completions(&summary, "TIMEOUT")), (2, 1));
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

// The command itself.

fn xtask(options: &[&str], program: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("trace").args(options).arg("--").args(program).stdin(Stdio::null());
    drive::die_with_parent(&mut command);
    command
}

/// The command on a scenario.
fn xtask_on(options: &[&str], scenario: &str) -> Command {
    let program = std::env::current_exe().expect("this program");
    let words: Vec<&str> =
        [program.to_str().expect("a path in UTF-8")].into_iter().chain(AGAIN).collect();
    let mut command = xtask(options, &words);
    command.env("XTASK_TRACED", scenario);
    command
}

struct Told {
    status: Option<i32>,
    text: String,
}

fn told(mut command: Command) -> Told {
    command.stdout(Stdio::null()).stderr(Stdio::piped());
    let output = drive::output_within(command, PATIENCE).expect("it ends");
    Told {
        status: output.status.code(),
        text: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn the_exit_status_is_the_programs() {
    assert_eq!(told(xtask(&[], &["sh", "-c", "exit 5"])).status, Some(5));
    assert_eq!(told(xtask(&[], &["sh", "-c", "kill -TERM $$"])).status, Some(143));
}

#[test]
fn a_program_that_is_not_there() {
    let told = told(xtask(&[], &["no-such-program"]));
    assert_eq!(told.status, Some(127));
    assert!(told.text.contains("there is no program no-such-program"), "{}", told.text);
    assert!(told.text.contains("try:"), "{}", told.text);
}

#[test]
fn a_program_without_a_ring() {
    let told = told(xtask(&[], &["true"]));
    assert_eq!(told.status, Some(0));
    assert!(told.text.contains("never asked for a ring"), "{}", told.text);
    assert!(told.text.contains("execve") || told.text.contains("mmap"), "{}", told.text);
}

/// As Docker does it: the tracer and the program under one filter.
#[test]
fn a_program_that_is_kept_from_io_uring() {
    if !drive::io_uring_or_skip("a_program_that_is_kept_from_io_uring") {
        return;
    }
    let mut command = xtask_on(&[], "nops");
    drive::block_io_uring(&mut command, libc::EPERM);
    let told = told(command);
    assert!(told.text.contains("refused: EPERM"), "{}", told.text);
    assert!(told.text.contains("Every ring was refused: EPERM 1"), "{}", told.text);
}

#[test]
fn only_limit_and_requests() {
    needs_io_uring!("only_limit_and_requests");
    let all = told(xtask_on(&["--only", "TIMEOUT"], "same_user_data")).text;
    let entries = |text: &str| text.lines().filter(|line| line.contains('→')).count();
    assert_eq!(entries(&all), 2, "the legend and the timeout: {all}");
    let limited = told(xtask_on(&["--limit", "3"], "nops")).text;
    let events = limited.split("Summary").next().expect("the events");
    assert!(!events.contains("close"), "{limited}");
    assert!(limited.contains("NOP                           3            3"), "{limited}");
    let requests = told(xtask_on(&["--summary", "--requests", "3"], "nops")).text;
    assert!(requests.contains("per request, of 3: 0.67 enters, 1.00 entries"), "{requests}");
    assert!(!requests.contains('→'), "no events: {requests}");
    let wrong = told(xtask_on(&["--only", "NOTHING"], "nops"));
    assert_eq!(wrong.status, Some(2));
    assert!(wrong.text.contains("no such operation"), "{}", wrong.text);
}

#[test]
fn the_lines_of_json_are_as_the_schema_says() {
    needs_io_uring!("the_lines_of_json_are_as_the_schema_says");
    let root: Value =
        serde_json::from_str(include_str!("../src/trace/schema.json")).expect("the schema");
    let mut seen = std::collections::BTreeSet::new();
    for (scenario, _) in scenarios::ALL.iter().filter(|(name, _)| *name != "hang") {
        let path = std::env::temp_dir().join(format!("xtask-{scenario}-{}", std::process::id()));
        let file = path.to_str().expect("a path in UTF-8");
        let told = told(xtask_on(&["--summary", "--json", file], scenario));
        let text = std::fs::read_to_string(&path).expect("the events");
        let _ = std::fs::remove_file(&path);
        let lines: Vec<Value> =
            text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for line in &lines {
            assert_eq!(schema::line_violation(&root, line), None, "{scenario}: {}", told.text);
            seen.insert(line["event"].as_str().expect("a name").to_string());
        }
        let ends = [lines.first(), lines.last()].map(|line| line.expect("a line")["event"].clone());
        assert_eq!(ends, ["trace", "summary"], "{scenario}");
    }
    let rarer = ["register", "unseen"];
    for event in root["$defs"].as_object().expect("definitions").keys() {
        let known = seen.contains(event) || event == "granted" || rarer.contains(&event.as_str());
        assert!(known, "no scenario has the event {event}: {seen:?}");
    }
}

/// The validator itself can say no.
#[test]
fn the_schema_refuses_what_is_wrong() {
    let root: Value =
        serde_json::from_str(include_str!("../src/trace/schema.json")).expect("the schema");
    let good = serde_json::json!({ "us": 1, "tid": 2, "event": "task", "new": 3, "process": true });
    assert_eq!(schema::line_violation(&root, &good), None);
    for (field, value) in [
        ("new", serde_json::json!("3")),
        ("us", serde_json::json!(-1)),
        ("more", serde_json::json!(1)),
        ("event", serde_json::json!("nonsense")),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        assert!(schema::line_violation(&root, &bad).is_some(), "{bad}");
    }
}

/// `trace … 2>&1 | head -1` ends neither the program nor the tracer's composure.
#[test]
fn a_reader_that_goes_away_is_no_trouble() {
    let mut command = xtask(&[], &["sh", "-c", "sleep 0.2; exit 3"]);
    let mut child = command.stderr(Stdio::piped()).spawn().expect("the command");
    let mut reader = BufReader::new(child.stderr.take().expect("its words"));
    let mut line = String::new();
    reader.read_line(&mut line).expect("the first line");
    drop(reader);
    assert_eq!(child.wait().expect("its end").code(), Some(3));
}

/// A signal for the tracer is a signal for the program: a day stops in order.
#[test]
fn a_signal_is_passed_on() {
    let script = "trap 'exit 9' INT; echo ready; while :; do sleep 0.05; done";
    let mut command = xtask(&["--summary"], &["sh", "-c", script]);
    command.stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the command");
    let mut stdout = child.stdout.take().expect("its words");
    let mut word = [0; 5];
    stdout.read_exact(&mut word).expect("ready");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("a signal");
    assert_eq!(child.wait().expect("its end").code(), Some(9));
}

/// An inherited descriptor would be one that the program has not got without the tracer.
#[test]
fn the_program_inherits_nothing_of_the_tracers() {
    let list = |mut command: Command| {
        let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().expect("a list");
        String::from_utf8_lossy(&output.stdout).lines().count()
    };
    let mut alone = Command::new("ls");
    alone.arg("/proc/self/fd");
    let path = std::env::temp_dir().join(format!("xtask-fds-{}", std::process::id()));
    let file = path.to_str().expect("a path in UTF-8");
    let traced = list(xtask(&["--json", file], &["ls", "/proc/self/fd"]));
    let _ = std::fs::remove_file(&path);
    assert_eq!(traced, list(alone));
}
