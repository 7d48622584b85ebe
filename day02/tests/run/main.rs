//! The program itself, run as its user runs it.

use std::io::{self, Write};
use std::process::{Command, Output};

use common::drive::{Strace, block_io_uring, io_uring_or_skip};
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde_json::Value;

/// Says aloud that part of a test was skipped, past the test harness, which hides what
/// `eprintln!` prints.
macro_rules! skip {
    ($($why:tt)*) => {
        writeln!(io::stderr(), "SKIPPED in part: {}", format_args!($($why)*)).expect("stderr")
    };
}

mod ring;
mod walk;

/// Runs day02 to its end.
fn day02(arguments: &[&str]) -> Output {
    output(command(arguments))
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day02"));
    // A backtrace has no place in what a learner reads.
    command.args(arguments).env("RUST_BACKTRACE", "1");
    command
}

fn output(mut command: Command) -> Output {
    command.output().expect("the day starts")
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("it prints UTF-8")
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("it prints UTF-8")
}

fn json(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).expect("it prints one JSON object")
}

/// What a run with `--json` reports, if it ends well.
fn report(arguments: &[&str]) -> Value {
    let output = day02(&[arguments, &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    json(&output)
}

/// What was granted and how many enters it took, for all rows that asked for this.
fn rows<'r>(report: &'r Value, asked: &str) -> Vec<(&'r str, Option<u64>)> {
    let steps = report["steps"].as_array().expect("steps");
    let rows = steps.iter().flat_map(|step| step["rows"].as_array().expect("rows"));
    rows.filter(|row| row["asked"] == asked)
        .map(|row| (row["granted"].as_str().expect("words"), row["enters"].as_u64()))
        .collect()
}

/// The same for the only row that asked for this; skips the test aloud, by `None`, if the
/// kernel is too old for it, which the row then says.
fn row<'r>(report: &'r Value, asked: &str) -> Option<(&'r str, Option<u64>)> {
    let rows = rows(report, asked);
    let [(granted, enters)] = rows[..] else { panic!("{asked}: {rows:?} in {report:#}") };
    if granted.contains("came with Linux") {
        skip!("{asked}: {granted}");
        return None;
    }
    Some((granted, enters))
}

/// The number of enters in the report is the number that the kernel saw.
#[test]
fn strace_counts_the_same_enters() {
    if !io_uring_or_skip("strace_counts_the_same_enters") {
        return;
    }
    if !Strace::works() {
        skip!("no strace that works here");
        return;
    }
    let polled = ["--json", "--sqpoll", "--sq-idle", "20"];
    let registered = ["--json", "--register-ring-fd"];
    for arguments in [&["--json"][..], &polled, &registered, &["--json", "--entries", "1"]] {
        let (command, strace) = Strace::wrap(env!("CARGO_BIN_EXE_day02"), arguments);
        let output = output(command);
        let calls = strace.calls().expect("a record of the calls");
        if !output.status.success() {
            let text = stderr(&output);
            assert!(text.contains("came with Linux") || text.contains("CAP_SYS_NICE"), "{text}");
            skip!("{text}");
            continue;
        }
        assert_eq!(json(&output)["enters"], calls.len(), "{arguments:?}: {calls:#?}");
    }
}

#[test]
fn a_refusal_is_one_object_too() {
    if !io_uring_or_skip("a_refusal_is_one_object_too") {
        return;
    }
    let output = day02(&["--entries", "0", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let refusal = &json(&output)["refusal"];
    assert_eq!(refusal["what"], "the kernel refused this ring: EINVAL");
    assert_eq!(refusal["why"], "a submission queue holds 1 to 32768");
    assert!(refusal["remedy"].is_string());
}

#[test]
fn quiet_prints_nothing() {
    if !io_uring_or_skip("quiet_prints_nothing") {
        return;
    }
    let output = day02(&["--quiet"]);
    assert_eq!(
        (output.status.code(), stdout(&output), stderr(&output)),
        (Some(0), "".into(), "".into())
    );
    assert_eq!(day02(&["--quiet", "--entries", "0"]).status.code(), Some(1));
}

/// PITFALLS row 26.
#[test]
fn pitfall_26_a_machine_that_blocks_io_uring_is_explained() {
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        for arguments in [&[][..], &["--entries", "8"], &["--sqpoll"]] {
            let mut blocked = command(arguments);
            block_io_uring(&mut blocked, errno);
            let output = output(blocked);
            let text = stderr(&output);
            assert_eq!(output.status.code(), Some(1), "{arguments:?}: {text}");
            assert_eq!(stdout(&output), "");
            assert!(text.starts_with("day02: io_uring_setup was refused: "), "{text}");
            assert!(
                text.contains(name) && text.contains("seccomp") && text.contains("\n  try: "),
                "{text}"
            );
            assert!(!text.contains("backtrace"), "{text}");
        }
        let mut blocked = command(&["--json"]);
        block_io_uring(&mut blocked, errno);
        let refusal = json(&output(blocked))["refusal"].clone();
        assert!(refusal["why"].as_str().is_some_and(|why| why.contains("seccomp")), "{refusal}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    if !io_uring_or_skip("a_reader_that_goes_away_is_no_error") {
        return;
    }
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    drop(reader);
    let mut command = command(&[]);
    command.stdout(writer);
    let output = output(command);
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), "".into()));
}

#[test]
fn an_option_that_makes_no_sense_is_a_usage_error() {
    for arguments in [&["--entries", "many"][..], &["--entries"], &["--json", "--quiet"], &["--sq"]]
    {
        assert_eq!(day02(arguments).status.code(), Some(2), "{arguments:?}");
    }
}
