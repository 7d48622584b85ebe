//! The tracer as a library, on programs that do one thing each: the tests by subject, and the
//! programs in files of the same names in [`scenarios`].

use ringtrace::event::Event;
use ringtrace::launch::Program;
use ringtrace::summary::Summary;
use ringtrace::{Ended, Trace};

/// Ends a test, with a message, where no ring is available.
macro_rules! needs_io_uring {
    ($test:literal) => {
        if !testkit::io_uring_or_skip($test) {
            return;
        }
    };
}

mod entries;
mod places;
mod polled;
mod rings;
mod scenarios;
mod signals;
mod tasks;

/// Not a test: the program that the tests trace.
#[test]
fn traced() {
    scenarios::run_if_asked();
}

fn program(scenario: &str) -> Program {
    Program {
        program: std::env::current_exe().expect("this program").into_os_string(),
        args: scenarios::shared::AGAIN.map(Into::into).to_vec(),
        env: vec![("TRACED".into(), scenario.into())],
        ..Default::default()
    }
}

fn start(scenario: &str) -> Trace {
    Trace::start(program(scenario), false, Vec::new()).expect("a trace")
}

/// Traces a scenario to its end, and keeps the totals.
fn run(scenario: &str, fast: bool) -> Ended {
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
    let Ended { status, summary, failure } = trace.finish();
    assert_eq!(failure, None);
    assert!([0, scenarios::shared::NOT_HERE].contains(&status), "{scenario} failed: {status}");
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
