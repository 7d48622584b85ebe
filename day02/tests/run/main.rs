//! The program itself, run as its user runs it.

use std::io::{self, Write};
use std::process::{Command, Output};

use common::environment::Environment;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde_json::Value;
use testkit::{
    Strace, block_io_uring, block_io_uring_enter, io_uring_or_skip, limit_locked_memory,
};

/// Prints that a part of a test was skipped, to the real standard error: the test harness hides
/// what `eprintln!` prints.
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

/// The same for the only row that asked for this; `None`, with a message, if the row says that the
/// kernel is too old.
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

/// Pitfall 26 of the book.
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

/// Pitfall 26 of the book.
#[test]
fn pitfall_26_a_limit_on_locked_memory_is_named() {
    for arguments in [&[][..], &["--entries", "8"]] {
        let mut limited = command(arguments);
        limit_locked_memory(&mut limited, 1 << 10);
        let text = stderr(&output(limited));
        if !text.starts_with("day02: io_uring_setup was refused: ENOMEM") {
            skip!("rings are blocked, or not counted, or we keep CAP_IPC_LOCK");
            return;
        }
        assert!(text.contains("of locked memory; RLIMIT_MEMLOCK allows 1 KiB, for all"), "{text}");
    }
}

/// Its rings fit one after the other. The largest does not, and its row says so.
#[test]
fn the_walk_goes_on_with_little_locked_memory() {
    if !io_uring_or_skip("the_walk_goes_on_with_little_locked_memory") {
        return;
    }
    if Environment::read().euid != Some(0) {
        skip!("other rings of this user count as well");
        return;
    }
    let mut limited = command(&["--json"]);
    limit_locked_memory(&mut limited, 64 << 10);
    let output = output(limited);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let report = json(&output);
    let (granted, _) = row(&report, "40000 entries, CLAMP").expect("CLAMP is of 5.6");
    if granted.starts_with("32768") {
        skip!("this kernel does not count rings, or we keep CAP_IPC_LOCK");
        return;
    }
    assert!(granted.starts_with("ENOMEM: it needs 3"), "{granted}");
    assert!(granted.contains("KiB of locked memory; RLIMIT_MEMLOCK allows 64 KiB"), "{granted}");
}

#[test]
fn a_refused_enter_is_explained() {
    if !io_uring_or_skip("a_refused_enter_is_explained") {
        return;
    }
    for arguments in [&[][..], &["--entries", "8"]] {
        let mut blocked = command(arguments);
        block_io_uring_enter(&mut blocked, libc::EPERM);
        let text = stderr(&output(blocked));
        assert!(text.starts_with("day02: io_uring_enter was refused: EPERM ("), "{text}");
        assert!(text.contains("\n  why: a seccomp filter is active"), "{text}");
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
