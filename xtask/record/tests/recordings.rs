//! The recordings that the book plays: each is sound in itself, and a new run has the same steps.

use std::process::Command;

use recorder::cli::{self, Checked};
use recorder::compare;
use recorder::file;
use recorder::scenarios::{ALL, Scenario};
use ringtrace::player::recording::{Kind, Recording, counts};
use testkit::{self, PATIENCE};
use toolbox::programs;

fn recorded(name: &str) -> Recording {
    file::read(&programs::workspace(), name).expect("a recording")
}

#[test]
fn a_fresh_run_tells_the_recorded_story() {
    const TEST: &str = "a_fresh_run_tells_the_recorded_story";
    if !testkit::io_uring_or_skip(TEST) {
        return;
    }
    let scenarios: Vec<&Scenario> = ALL.iter().collect();
    let programs = cli::build(&scenarios).expect("the days' programs");
    for scenario in scenarios {
        match cli::check(scenario, &programs, PATIENCE).expect("a fresh run") {
            Checked::Same => {}
            Checked::Skipped(why) => testkit::skipped(&format!("{TEST}, {}", scenario.name), why),
            Checked::Differs(difference) => panic!(
                "{}: {difference:#?}\nIf the new run is right: cargo xtask record {0}",
                scenario.name
            ),
        }
    }
}

/// Where no ring is available, a check skips and a recording fails.
#[test]
fn a_blocked_machine_is_told_apart() {
    for (arguments, code, words) in [
        (["nop", "--check"].as_slice(), 0, "SKIPPED: "),
        (["nop"].as_slice(), 1, "nop cannot be recorded here"),
    ] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_recorder"));
        command.args(arguments);
        testkit::block_io_uring(&mut command, libc::EPERM);
        let output = command.output().expect("xtask record");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(words) && said.contains("EPERM"), "{said}");
    }
}

/// Plays a recording as the player does: no entry is taken before it is written, no completion is
/// read before it is posted, and no queue holds more than it has room for.
#[test]
fn the_recordings_are_sound() {
    for scenario in &ALL {
        let recording = recorded(scenario.name);
        let [ring] = recording.rings.as_slice() else { panic!("one ring: {}", scenario.name) };
        let (mut written, mut taken, mut posted, mut read) = (0, 0, 0_u32, 0);
        for step in &recording.steps {
            for entry in &step.entries {
                written += 1;
                assert_eq!(entry.seq, written, "{}: {step:?}", scenario.name);
            }
            for seq in &step.takes {
                taken += 1;
                assert_eq!(*seq, taken, "{}: {step:?}", scenario.name);
            }
            assert!(taken <= written && written - taken <= u64::from(ring.sq_entries));
            for completion in &step.completions {
                assert!(completion.seq <= taken, "{}: {step:?}", scenario.name);
            }
            posted += step.completions.len() as u32;
            read += step.reaps;
            assert!(read <= posted && posted - read <= ring.cq_entries);
            let calls = [Kind::Setup, Kind::Register, Kind::Enter].contains(&step.kind);
            assert_eq!(step.call.is_some(), calls, "{}: {step:?}", scenario.name);
            assert!(!step.say.is_empty());
        }
        assert_eq!(recording.counts, counts(&recording.steps), "{}", scenario.name);
        assert_eq!(recording.command, scenario.command());
        assert_eq!(recording.title, scenario.title);
        let text = file::to_text(&recording).expect("text");
        let path = file::path(&programs::workspace(), scenario.name);
        assert_eq!(text, std::fs::read_to_string(path).expect("the file"), "{}", scenario.name);
    }
}

/// The book's statements about the recordings.
#[test]
fn the_recordings_show_what_they_are_for() {
    let count = |name: &str, what: &str| recorded(name).counts.get(what).copied().unwrap_or(0);
    assert_eq!((count("nop", "enters"), count("nop", "NOP")), (1, 1));
    assert_eq!((count("sqpoll", "enters"), count("sqpoll", "NOP")), (1, 2));
    assert_eq!((count("accept", "ACCEPT"), count("accept", "completions:ACCEPT")), (1, 4));
    // The second receive gets the end.
    for (operation, times) in [("RECV", 2), ("SEND", 1), ("CLOSE", 1)] {
        assert_eq!(count("request", operation), times, "{operation}");
    }
    let batch = recorded("batch").steps;
    let enters = batch.iter().filter(|step| step.kind == Kind::Enter && !step.takes.is_empty());
    let taken: Vec<usize> = enters.map(|step| step.takes.len()).collect();
    assert_eq!(taken, [2, 4, 8], "four RECV; four SEND, each with the next RECV");
}

/// Differences that would be wrong in the book are reported, unlike those that are allowed.
#[test]
fn another_story_is_noticed() {
    let recording = recorded("accept");
    assert_eq!(compare::difference(&recording, &recording), None);

    // The accept is submitted again for the second client.
    let mut twice = recording.clone();
    let accept = twice.steps[2].entries[1].clone();
    let later = twice.steps.iter().rposition(|step| step.kind == Kind::Push).expect("a push");
    twice.steps[later].entries.push(accept);
    let difference = compare::difference(&recording, &twice).expect("a difference");
    assert_eq!(difference.step, later + 1);

    // One call more.
    let mut calls = recording.clone();
    let enter = calls.steps.iter().position(|step| step.kind == Kind::Enter).expect("an enter");
    calls.steps.insert(enter, calls.steps[enter].clone());
    assert!(compare::difference(&recording, &calls).is_some());

    // The accept ends with its first client.
    let mut ends = recording.clone();
    let first = ends.steps.iter().position(|step| !step.completions.is_empty()).expect("one");
    ends.steps[first].completions[0].more = false;
    assert!(compare::difference(&recording, &ends).is_some());

    // The kernel may take up the entries of one enter in another order.
    let mut batch = recorded("batch");
    let same = batch.clone();
    for step in &mut batch.steps {
        step.completions.reverse();
    }
    assert_eq!(compare::difference(&same, &batch), None);
}

/// A recording that was edited by hand.
#[test]
fn a_recording_that_contradicts_itself_is_noticed() {
    let recording = recorded("accept");
    assert_eq!(compare::contradiction(&recording), None);

    let mut counts = recording.clone();
    counts.counts.insert("enters".to_string(), 1);
    assert!(compare::contradiction(&counts).is_some());

    let mut ring = recording.clone();
    ring.rings[0].cq_entries += 1;
    assert_eq!(compare::difference(&ring, &recording).map(|it| it.step), Some(0));

    for kind in [Kind::Push, Kind::Complete, Kind::Reap] {
        let mut words = recording.clone();
        let at = words.steps.iter().position(|step| step.kind == kind).expect("one of each");
        words.steps[at].say.push_str(" So it is.");
        assert_eq!(compare::contradiction(&words).map(|it| it.step), Some(at + 1), "{kind:?}");
    }
}
