//! Where operations ran, and how long they took.

use std::collections::{BTreeSet, HashMap};

use ringtrace::event::What;
use ringtrace::launch::Program;
use ringtrace::ran::Place;
use ringtrace::tracepoints::Tracepoints;
use ringtrace::{Ended, Trace};

use super::{program, trace};

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
    assert!(summary.slowest.is_empty(), "a timeout takes as long as it was asked to");
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
    let Ended { status, summary, .. } = trace.finish();
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
