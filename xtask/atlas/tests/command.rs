//! `cargo xtask atlas` as a command, on this kernel.

use std::process::{Command, Output, Stdio};
use std::time::Duration;

use atlas::Recording;
use serde_json::Value;

/// The examples may have to be compiled first.
const LONG: Duration = Duration::from_secs(600);

fn atlas(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_atlas_runner"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    testkit::output_within(command, LONG).expect("an end")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Each entry with `--json`, by name.
fn entries(names: &[&str]) -> Vec<Value> {
    let output = atlas(&[names, &["--json"]].concat());
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{}{said}", text(&output));
    text(&output).lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn the_record_holds_what_an_entry_says() {
    if !testkit::io_uring_or_skip("the_record_holds_what_an_entry_says") {
        return;
    }
    for entry in entries(&["nop", "files"]) {
        let name = entry["name"].as_str().expect("a name");
        let left_out = entry["left_out"].as_array().expect("a list");
        let is_left_out = |shown: &Value| left_out.iter().any(|it| it["what"] == *shown);
        let in_the_record = entry["in_the_record"].as_array().expect("a list");
        for shown in entry["shows"].as_array().expect("a list") {
            assert!(in_the_record.contains(shown) || is_left_out(shown), "{name}: {shown}");
        }
    }
}

#[test]
fn an_entry_says_where_it_ran() {
    if !testkit::io_uring_or_skip("an_entry_says_where_it_ran") {
        return;
    }
    let output = atlas(&["FSYNC"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).contains("FSYNC with DATASYNC → 0 [worker]"), "{}", text(&output));
}

#[test]
fn the_ways_to_an_error_are_listed_with_their_reasons() {
    if !testkit::io_uring_or_skip("the_ways_to_an_error_are_listed_with_their_reasons") {
        return;
    }
    let output = atlas(&["fsync", "--errors", "ecanceled"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output).starts_with("ECANCELED\n  fsync"), "{}", text(&output));
    assert!(text(&output).contains("the link broke"), "{}", text(&output));
    let output = atlas(&["nop", "--errors", "ENOTTY"]);
    assert_eq!(text(&output).trim(), "No entry of the atlas gets ENOTTY on this kernel.");
}

#[test]
fn a_recording_holds_nothing_that_differs_from_run_to_run() {
    if !testkit::io_uring_or_skip("a_recording_holds_nothing_that_differs_from_run_to_run") {
        return;
    }
    let output = atlas(&["socket", "--record"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let recording = Recording::parse(&text(&output)).expect("a recording");
    assert!(!recording.made.linux.is_empty());
    let socket = recording.entry("sockets", "socket").expect("the entry");
    if socket.report.left_out.is_empty() {
        let descriptors = socket.report.rows.iter().filter(|row| row.answered == "⟨descriptor⟩");
        assert!(descriptors.count() > 0, "{socket:?}");
        assert_eq!(socket.places, ["inline"], "{socket:?}");
    }
    let again = Recording::parse(&text(&atlas(&["socket", "--record"]))).expect("a recording");
    let again = again.entry("sockets", "socket").expect("the entry");
    assert_eq!(socket.difference(again), None);
}

#[test]
fn a_wrong_name_is_wrong_usage() {
    for arguments in [&["nope"][..], &["--errors", "EWRONG"]] {
        let output = atlas(arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        assert!(output.stdout.is_empty(), "{output:?}");
    }
}
