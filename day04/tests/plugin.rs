//! `beyond/plugin.rs`: the plug-in reads what it was given, and nothing else.

use std::fs;
use std::process::Output;

use testkit::{Folder, PATIENCE, example, io_uring_or_skip, ordinary_user_or_skip, output_within};

/// Runs it as an ordinary user with little locked memory, if that is possible here.
fn plugin(test: &str, arguments: &[&str]) -> Option<Output> {
    if !io_uring_or_skip(test) {
        return None;
    }
    let mut command = example("plugin");
    command.args(arguments);
    ordinary_user_or_skip(test, &mut command, 64 << 10)
        .then(|| output_within(command, PATIENCE).unwrap())
}

fn lines(output: &Output) -> Vec<&str> {
    std::str::from_utf8(&output.stdout).unwrap().lines().collect()
}

#[test]
fn it_counts_the_lines_of_the_files_that_it_was_given() {
    let test = "it_counts_the_lines_of_the_files_that_it_was_given";
    let folder = Folder::new(test);
    let (short, long) = (folder.join("short"), folder.join("long"));
    fs::write(&short, "one\ntwo\nno end").unwrap();
    // Longer than its buffer: some lines begin in one buffer and end in the next.
    fs::write(&long, "a line\n".repeat(5000)).unwrap();
    let [short, long] = [&short, &long].map(|path| path.to_str().unwrap());
    let Some(output) = plugin(test, &[short, long, "/", "/dev/null"]) else { return };
    let expected = ["slot 0: 2 lines", "slot 1: 5000 lines", "slot 2: EISDIR", "slot 3: 0 lines"];
    assert_eq!(lines(&output), expected, "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

#[test]
fn all_that_it_must_not_do_is_refused() {
    let Some(output) =
        plugin("all_that_it_must_not_do_is_refused", &["--misbehave", "/proc/self/comm"])
    else {
        return;
    };
    // By the ring; by the rights of its slots, and their number; by the filter of system calls.
    let expected = [
        "OPENAT: EACCES",
        "OPENAT with FIXED_FILE: EACCES",
        "READ of descriptor 0: EACCES",
        "READ of slot 0, ASYNC: EACCES",
        "READ of slot 99: EBADF",
        "WRITE to slot 0: EBADF",
        "descriptor 0 into slot 0: EACCES",
        "open(2): EPERM",
        "a ring of its own: EPERM",
    ];
    assert_eq!(lines(&output), expected, "{output:?}");
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

/// It would read `/dev/zero` for ever.
#[test]
fn one_that_does_not_end_is_ended() {
    let Some(output) = plugin("one_that_does_not_end_is_ended", &["/dev/zero"]) else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains("did not end by itself"), "{error}");
}

#[test]
fn bad_input_is_named() {
    let Some(output) = plugin("bad_input_is_named", &["/not/there"]) else { return };
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("/not/there"), "{output:?}");
    let Some(output) = plugin("bad_input_is_named", &[]) else { return };
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}
