//! One ring, flag by flag, and the rules by which the kernel refuses a ring.

use std::process::{Command, Output};

use testkit::io_uring_or_skip;

use super::*;

/// Asserts that a ring is refused by this rule, in three lines and with exit code 1. A kernel
/// that does not know one of the flags says that instead.
#[track_caller]
fn refused(arguments: &[&str], rule: &str) {
    let output = day02(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {}", stdout(&output));
    assert_eq!(stdout(&output), "");
    let text = stderr(&output);
    let [what, why, remedy] = text.lines().collect::<Vec<_>>()[..] else {
        panic!("{arguments:?}: three lines, not {text}");
    };
    assert!(what.starts_with("day02: the kernel refused ") && what.contains(": E"), "{text}");
    assert!(remedy.starts_with("  try: "), "{text}");
    if why.contains("came with Linux") {
        skip!("{arguments:?}: {why}");
        return;
    }
    assert!(why.starts_with("  why: ") && why.contains(rule), "{arguments:?}: {text}");
}

#[test]
fn pitfall_20_the_rules_about_flags_are_named() {
    if !io_uring_or_skip("pitfall_20_the_rules_about_flags_are_named") {
        return;
    }
    let defer = ["--sqpoll", "--defer-taskrun", "--single-issuer"];
    refused(&defer, "SQPOLL and DEFER_TASKRUN exclude each other");
    refused(&["--sqpoll", "--coop-taskrun"], "SQPOLL and COOP_TASKRUN exclude each other");
    refused(&["--sq-cpu", "0"], "SQ_AFF binds the poller's thread, so it needs SQPOLL");
    refused(&["--defer-taskrun"], "DEFER_TASKRUN needs SINGLE_ISSUER");
    if day02(&["--sqpoll", "--quiet"]).status.success() {
        refused(&["--sqpoll", "--sq-cpu", "4096"], "CPU 4096 is not there; those that are online");
    }
}

#[test]
fn pitfall_21_the_rules_about_sizes_are_named() {
    if !io_uring_or_skip("pitfall_21_the_rules_about_sizes_are_named") {
        return;
    }
    refused(&["--entries", "0"], "a submission queue holds 1 to 32768");
    refused(&["--entries", "32769"], "a submission queue holds 1 to 32768");
    refused(&["--cq-entries", "0"], "a completion queue holds 1 to 65536");
    refused(&["--cq-entries", "65537"], "a completion queue holds 1 to 65536");
    let smaller = ["--entries", "9", "--cq-entries", "8"];
    refused(&smaller, "the completion queue may not be smaller than the submission queue");
    refused(&["--slots", "0"], "a table has at least one slot");
}

/// The flags that are in force with these arguments; `None` if the kernel does not know them.
fn flags(arguments: &[&str]) -> Option<Vec<String>> {
    let output = day02(&[arguments, &["--json"]].concat());
    if !output.status.success() {
        let text = stderr(&output);
        assert!(text.contains("came with Linux") || text.contains("CAP_SYS_NICE"), "{text}");
        skip!("{text}");
        return None;
    }
    let report = json(&output);
    assert_eq!(
        row(&report, "a NOP").map(|(_, enters)| enters <= Some(1)),
        Some(true),
        "{report:#}"
    );
    serde_json::from_value(report["granted"]["flags"].clone()).expect("names")
}

#[test]
fn every_flag_is_granted_by_name() {
    if !io_uring_or_skip("every_flag_is_granted_by_name") {
        return;
    }
    let rings: [(&[&str], &[&str]); 9] = [
        (&["--entries", "5"], &[]),
        (&["--cq-entries", "100"], &["CQSIZE"]),
        (&["--clamp"], &["CLAMP"]),
        (&["--submit-all"], &["SUBMIT_ALL"]),
        (&["--coop-taskrun"], &["COOP_TASKRUN"]),
        (&["--single-issuer"], &["SINGLE_ISSUER"]),
        (&["--single-issuer", "--defer-taskrun"], &["SINGLE_ISSUER", "DEFER_TASKRUN"]),
        (&["--no-sqarray"], &["NO_SQARRAY"]),
        (&["--sqpoll", "--sq-idle", "20"], &["SQPOLL"]),
    ];
    for (arguments, names) in rings {
        let Some(granted) = flags(arguments) else { continue };
        let names: Vec<_> = names.iter().map(|name| format!("IORING_SETUP_{name}")).collect();
        assert_eq!(granted, names, "{arguments:?}");
    }
}

#[test]
fn a_poller_is_bound_to_a_cpu() {
    if !io_uring_or_skip("a_poller_is_bound_to_a_cpu") {
        return;
    }
    // Any CPU that this process may use; there is one.
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let cpus = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap();
    let cpu: String = cpus.trim().chars().take_while(char::is_ascii_digit).collect();
    let Some(granted) = flags(&["--sqpoll", "--sq-cpu", &cpu]) else { return };
    assert_eq!(granted, ["IORING_SETUP_SQPOLL", "IORING_SETUP_SQ_AFF"]);
}

#[test]
fn the_sizes_that_were_granted_are_told() {
    if !io_uring_or_skip("the_sizes_that_were_granted_are_told") {
        return;
    }
    let sizes = |arguments: &[&str]| {
        let report = report(arguments);
        [&report["granted"]["sq_entries"], &report["granted"]["cq_entries"]]
            .map(|n| n.as_u64().unwrap())
    };
    assert_eq!(sizes(&["--entries", "5"]), [8, 16]);
    assert_eq!(sizes(&["--entries", "5", "--cq-entries", "100"]), [8, 128]);
    assert_eq!(sizes(&["--entries", "99999", "--clamp", "--cq-entries", "99999"]), [32768, 65536]);
}

#[test]
fn a_table_and_the_ring_descriptor_are_registered() {
    if !io_uring_or_skip("a_table_and_the_ring_descriptor_are_registered") {
        return;
    }
    // Together with every other option that does not exclude them.
    let arguments = ["--slots", "10", "--register-ring-fd", "--single-issuer", "--defer-taskrun"];
    if flags(&arguments).is_none() {
        return;
    }
    let report = report(&arguments);
    assert_eq!(row(&report, "10 empty slots"), Some(("registered", None)));
    let (answer, _) = row(&report, "submitter.submit_and_wait(1)").unwrap();
    assert!(answer.ends_with("named by index"), "{answer}");
    assert_eq!(report["enters"], 3);
}

/// Runs day02 in a shell that lowers a limit first.
fn limited(limit: &str, arguments: &str) -> Output {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!(r#"ulimit {limit}; exec "$0" {arguments}"#)]);
    shell.arg(env!("CARGO_BIN_EXE_day02"));
    output(shell)
}

#[test]
fn a_table_is_bounded_by_the_hard_limit_on_descriptors() {
    if !io_uring_or_skip("a_table_is_bounded_by_the_hard_limit_on_descriptors") {
        return;
    }
    let output = limited("-n 20", "--slots 21");
    let text = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{text}");
    if text.contains("came with Linux") {
        skip!("{text}");
        return;
    }
    assert!(text.contains("a table of 21 slots: EMFILE"), "{text}");
    assert!(text.contains("RLIMIT_NOFILE") && text.contains("at most 20 here"), "{text}");
    assert!(text.contains("--slots 20 or less, or `ulimit -n 21` as root first"), "{text}");
    // No limit can be raised to hold more slots than the kernel allows in any table.
    let text = stderr(&limited("-n 20", "--slots 1048577"));
    assert!(text.ends_with("try: --slots 20 or less\n"), "{text}");
    // The soft limit is raised as far as that.
    let output = limited("-Sn 20", "--slots 21");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}
