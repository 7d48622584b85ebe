//! The journal as a newcomer sees it: the real days, built and run by `xtask run`.

use std::process::{Command, Output};

use serde_json::Value;

fn xtask_run(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("run").args(arguments);
    command
}

fn days(output: &Output) -> Vec<Value> {
    let stdout = String::from_utf8_lossy(&output.stdout);
    let record: Value = serde_json::from_str(&stdout).unwrap_or_else(|_| {
        panic!("no record: {stdout}{}", String::from_utf8_lossy(&output.stderr))
    });
    record["days"].as_array().unwrap().clone()
}

#[test]
fn every_day_runs_or_says_why_not() {
    if !testkit::io_uring_or_skip("every_day_runs_or_says_why_not") {
        return;
    }
    let output = xtask_run(&["--json"]).output().unwrap();
    let days = days(&output);
    assert_eq!(days.len(), 4);
    for day in &days {
        // Days 03 and 04 need Linux 5.19, and say so on an older one.
        let refused =
            day["outcome"] == "refused" && (day["day"] == "day03" || day["day"] == "day04");
        assert!(day["outcome"] == "ran" || refused, "{day}");
    }
    let all_ran = days.iter().all(|day| day["outcome"] == "ran");
    assert_eq!(output.status.success(), all_ran);
}

#[test]
fn without_io_uring_day01_explains_and_the_run_ends() {
    for (errno, name) in [(libc::EPERM, "EPERM"), (libc::ENOSYS, "ENOSYS")] {
        let mut command = xtask_run(&["--json"]);
        testkit::block_io_uring(&mut command, errno);
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let days = days(&output);
        assert_eq!(days[0]["outcome"], "refused", "{}", days[0]);
        let reason = days[0]["reason"].as_str().unwrap();
        assert!(reason.contains(name) && reason.contains("try: "), "{reason}");
        assert!(days[1..].iter().all(|day| day["outcome"] == "not_tried"), "{days:?}");
    }
}

#[test]
fn a_run_that_cannot_be_printed_is_a_failure() {
    for arguments in [&["--day", "1"][..], &["--recorded"]] {
        let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
        let output = xtask_run(arguments).stdout(full).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(words.contains("No space left on device"), "{words}");
    }
}
