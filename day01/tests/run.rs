//! The program itself, run as its user runs it.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::process::{Command, Output, Stdio};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;
use serde_json::Value;
use testkit::{
    Strace, block_io_uring, block_io_uring_enter, io_uring_or_skip, limit_locked_memory, skipped,
};

fn day01(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day01"));
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

#[test]
fn the_greeting_comes_back() {
    if !io_uring_or_skip("the_greeting_comes_back") {
        return;
    }
    let output = output(day01(&[]));
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    // The bytes of the text, the first one lowest.
    assert!(text.contains("user_data 0x6f69206f6c6c6568, result 0\n"), "{text}");
    assert!(text.contains("\"hello io\"\n"), "{text}");
    assert!(text.contains("A ring of 8\n"), "{text}");
    assert_eq!(stderr(&output), "");
}

#[test]
fn json_and_text_agree() {
    if !io_uring_or_skip("json_and_text_agree") {
        return;
    }
    let object = json(&output(day01(&["--json"])));
    assert_eq!(object["greeting"]["text"], "hello io");
    assert_eq!(object["greeting"]["user_data"], 0x6f69_206f_6c6c_6568_u64);
    assert_eq!(object["ring"]["asked"], 8);
    assert!(object["ring"]["cq_entries"].as_u64() >= Some(8));
    assert_eq!(object["refusal"], Value::Null);
    assert_eq!(object["days"][0]["ready"], true);
    assert_eq!(object["days"].as_array().map(Vec::len), Some(4));

    // Linux before 5.6 cannot be asked: then there are no operations, and no count.
    let Some(operations) = object["operations"].as_array() else { return };
    let has = operations.iter().filter(|operation| operation["supported"] == true).count();
    let heading =
        format!("this kernel has {has} of the {} that this program knows\n", operations.len());
    let text = stdout(&output(day01(&[])));
    assert!(text.contains(&heading), "{heading}{text}");
    // Every operation of the kernel is named or is an unknown code.
    let unknown = object["unknown"].as_array().map(Vec::len);
    let supported = object["supported"].as_array().map(Vec::len);
    assert_eq!(unknown.map(|unknown| unknown + has), supported);
    assert!(has >= 4, "NOP, READV, WRITEV and FSYNC are in every kernel: {object}");
}

#[test]
fn ops_missing_lists_what_the_kernel_lacks_and_nothing_else() {
    if !io_uring_or_skip("ops_missing_lists_what_the_kernel_lacks_and_nothing_else") {
        return;
    }
    let object = json(&output(day01(&["--json"])));
    let Some(operations) = object["operations"].as_array() else { return };
    let text = stdout(&output(day01(&["--ops", "missing", "--long"])));
    // Its lines begin with the code.
    let listed: Vec<u64> = text
        .lines()
        .filter(|line| line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .collect();
    let mut missing: Vec<_> = operations
        .iter()
        .filter(|operation| operation["supported"] == false)
        .filter_map(|operation| operation["code"].as_u64())
        .collect();
    let mut listed = listed;
    listed.sort_unstable();
    missing.sort_unstable();
    assert_eq!(listed, missing, "{text}");
}

#[test]
fn quiet_says_nothing() {
    if !io_uring_or_skip("quiet_says_nothing") {
        return;
    }
    let output = output(day01(&["--quiet"]));
    assert_eq!(
        (output.status.code(), stdout(&output), stderr(&output)),
        (Some(0), "".into(), "".into())
    );
}

#[test]
fn one_enter_takes_the_nop_there_and_back() {
    if !io_uring_or_skip("one_enter_takes_the_nop_there_and_back") {
        return;
    }
    if !Strace::works() {
        return skipped("one_enter_takes_the_nop_there_and_back", "no strace that may trace here");
    }
    let (mut command, strace) = Strace::wrap(env!("CARGO_BIN_EXE_day01"), &["--json"]);
    let output = command.output().expect("strace starts");
    let calls = strace.calls().expect("strace writes a record");
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert_eq!(json(&output)["greeting"]["enters"], 1);
}

#[test]
fn wrong_usage_is_exit_code_2() {
    for arguments in [
        &["--nonsense"][..],
        &["--ops", "some"],
        &["--json", "--long"],
        &["--json", "--ops", "all"],
        &["a-file"],
    ] {
        let output = output(day01(arguments));
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains("--help"), "{arguments:?}");
    }
}

// Pitfall 26 of the book.
#[test]
fn a_blocked_io_uring_is_explained() {
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        let mut command = day01(&[]);
        block_io_uring(&mut command, errno);
        let output = output(command);
        assert_eq!(output.status.code(), Some(1));
        let error = stderr(&output);
        let lines: Vec<_> = error.lines().collect();
        assert_eq!(lines.len(), 3, "{error}");
        assert!(lines[0].starts_with(&format!("day01: io_uring_setup was refused: {name} (")));
        assert!(lines[1].starts_with("  why: a seccomp filter is active"), "{error}");
        assert!(lines[2].starts_with("  try: "), "{error}");
        // The facts about the machine are still printed.
        let text = stdout(&output);
        assert!(text.starts_with("This machine\n  kernel "), "{text}");
        assert!(text.contains("sandbox      a seccomp filter"), "{text}");
        assert!(
            text.contains(&format!("none         can run: io_uring_setup was refused: {name}"))
        );
        assert!(!text.contains("hello io"), "{text}");
    }
}

// Pitfall 26 of the book.
#[test]
fn pitfall_26_a_limit_on_locked_memory_is_named() {
    const NAME: &str = "pitfall_26_a_limit_on_locked_memory_is_named";
    let mut command = day01(&[]);
    limit_locked_memory(&mut command, 1 << 10);
    let output = output(command);
    let error = stderr(&output);
    if !error.starts_with("day01: io_uring_setup was refused: ENOMEM") {
        return skipped(NAME, "rings are blocked, or not counted, or we keep CAP_IPC_LOCK");
    }
    assert!(error.contains("of locked memory; RLIMIT_MEMLOCK allows 1 KiB, for all"), "{error}");
    let text = stdout(&output);
    assert!(text.contains("memlock      1 KiB (RLIMIT_MEMLOCK: rings"), "{text}");
}

#[test]
fn a_refused_enter_is_explained() {
    if !io_uring_or_skip("a_refused_enter_is_explained") {
        return;
    }
    let mut command = day01(&[]);
    block_io_uring_enter(&mut command, libc::EPERM);
    let error = stderr(&output(command));
    assert!(error.starts_with("day01: io_uring_enter was refused: EPERM ("), "{error}");
    assert!(error.contains("\n  why: a seccomp filter is active"), "{error}");
}

#[test]
fn a_blocked_io_uring_is_an_object_too() {
    let mut command = day01(&["--json"]);
    block_io_uring(&mut command, libc::EPERM);
    let output = output(command);
    assert_eq!(output.status.code(), Some(1));
    let object = json(&output);
    assert_eq!(object["machine"]["seccomp"], 2);
    assert!(object["refusal"]["why"].as_str().is_some_and(|why| why.contains("seccomp")));
    assert!(object["refusal"]["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
    assert_eq!(object["greeting"], Value::Null);
    assert_eq!(object["supported"], Value::Null);
    for day in object["days"].as_array().expect("four days") {
        assert_eq!(day["ready"], false);
        assert_eq!(day["why_not"], object["refusal"]["why"]);
    }
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    if !io_uring_or_skip("a_reader_that_leaves_early_is_no_error") {
        return;
    }
    for arguments in [&[][..], &["--long"], &["--json"]] {
        let mut command = day01(arguments);
        let output = command.stdout(pipe_without_reader()).stderr(Stdio::piped()).output();
        let output = output.expect("the day starts");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(stderr(&output), "", "{arguments:?}");
    }
}

/// A pipe whose reader has gone away, as in `day01 | head -1`.
fn pipe_without_reader() -> OwnedFd {
    // Without CLOEXEC, a day that another test starts at this moment would keep the reader open.
    let (reader, writer) = pipe2(OFlag::O_CLOEXEC).expect("a pipe");
    drop(reader);
    writer
}

#[test]
fn a_full_disk_is_an_error_in_words() {
    if !io_uring_or_skip("a_full_disk_is_an_error_in_words") {
        return;
    }
    let full = File::options().write(true).open("/dev/full").expect("every Linux has it");
    let output = day01(&[]).stdout(full).stderr(Stdio::piped()).output().expect("the day starts");
    assert_eq!(output.status.code(), Some(1));
    let error = stderr(&output);
    assert!(error.starts_with("day01: writing to the standard output: No space left"), "{error}");
    assert!(!error.contains("backtrace"), "{error}");
}
