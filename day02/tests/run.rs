//! The program itself, run as its user runs it.

use std::io::{self, Write};
use std::process::{Command, Output};

use common::drive::{Strace, block_io_uring, io_uring_or_skip};
use serde_json::Value;

/// Says aloud that part of a test was skipped, past the test harness, which hides what
/// `eprintln!` prints.
macro_rules! skip {
    ($($why:tt)*) => {
        writeln!(io::stderr(), "SKIPPED in part: {}", format_args!($($why)*)).expect("stderr")
    };
}

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
fn the_walk_runs_on_any_kernel() {
    if !io_uring_or_skip("the_walk_runs_on_any_kernel") {
        return;
    }
    let output = day02(&[]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
    let text = stdout(&output);
    for step in ["1. Sizes", "2. SQPOLL", "3. When", "4. The ring's own", "5. A sparse", "6. Feat"]
    {
        assert!(text.contains(&format!("\n{step}")), "{step}: {text}");
    }
}

// PITFALLS.md, by row.

#[test]
fn pitfall_01_only_the_submitter_that_registered_knows_the_index() {
    if !io_uring_or_skip("pitfall_01_only_the_submitter_that_registered_knows_the_index") {
        return;
    }
    let report = report(&[]);
    if row(&report, "register_ring_fd (5.18)").is_none() {
        return;
    }
    let (plain, enters) = row(&report, "ring.submit_and_wait(1)").unwrap();
    assert!(plain.starts_with("EOPNOTSUPP"), "{plain}");
    assert_eq!(enters, Some(1));
    let (registered, enters) = row(&report, "submitter.submit_and_wait(1)").unwrap();
    assert!(registered.starts_with("the NOP completed"), "{registered}");
    assert_eq!(enters, Some(1));
}

#[test]
fn pitfall_11_a_slot_is_no_descriptor() {
    if !io_uring_or_skip("pitfall_11_a_slot_is_no_descriptor") {
        return;
    }
    let report = report(&[]);
    let [before, full, after] = rows(&report, "/proc/self/fd")[..] else {
        assert!(row(&report, "empty slots (5.19)").is_none());
        return;
    };
    assert_eq!(before, full);
    assert_eq!(before, after);
    let numbers = "0 1 2 3 4 5 6 7";
    assert_eq!(
        row(&report, "8 × OpenAt into a slot"),
        Some((&*format!("in slots {numbers}"), Some(1)))
    );
    assert_eq!(row(&report, "one more"), Some(("ENFILE: the table is full", Some(1))));
    assert_eq!(row(&report, "8 × Close of a slot"), Some(("closed", Some(1))));
    // The slot that is read is one that is no descriptor: which, depends on who runs the test.
    let slot = numbers.split(' ').rev().find(|n| !before.0.split(' ').any(|fd| fd == *n));
    let Some(slot) = slot else { return };
    let fixed = row(&report, &format!("Read, types::Fixed({slot})"));
    assert_eq!(fixed, Some((r#"6 bytes, "day02\n""#, Some(1))));
    let (plain, enters) = row(&report, &format!("Read, types::Fd({slot})")).unwrap();
    assert!(plain.starts_with("EBADF"), "{plain}");
    assert_eq!(enters, Some(1));
}

#[test]
fn pitfall_18_with_defer_taskrun_only_a_wait_delivers() {
    if !io_uring_or_skip("pitfall_18_with_defer_taskrun_only_a_wait_delivers") {
        return;
    }
    let report = report(&[]);
    for asked in ["no flag", "COOP_TASKRUN", "SINGLE_ISSUER"] {
        let Some((delivered, enters)) = row(&report, asked) else { continue };
        assert!(delivered.ends_with("there after a plain submit"), "{asked}: {delivered}");
        assert_eq!(enters, Some(2), "{asked}");
    }
    let Some((delivered, enters)) = row(&report, "SINGLE_ISSUER, DEFER_TASKRUN") else { return };
    assert_eq!(delivered, "since 6.1: not after a submit; after a wait");
    assert_eq!(enters, Some(3));
}

#[test]
fn pitfall_19_a_single_issuer_ring_is_one_threads() {
    if !io_uring_or_skip("pitfall_19_a_single_issuer_ring_is_one_threads") {
        return;
    }
    let report = report(&[]);
    if row(&report, "SINGLE_ISSUER").is_none() {
        return;
    }
    let (answer, enters) = row(&report, "SINGLE_ISSUER, two threads").unwrap();
    assert!(answer.starts_with("EEXIST"), "{answer}");
    assert_eq!(enters, Some(1));
}

#[test]
fn pitfall_20_an_entry_stays_unseen_while_the_poller_sleeps() {
    if !io_uring_or_skip("pitfall_20_an_entry_stays_unseen_while_the_poller_sleeps") {
        return;
    }
    let report = report(&[]);
    if let [(refused, None)] = rows(&report, "SQPOLL")[..] {
        skip!("{refused}");
        return;
    }
    assert_eq!(row(&report, "a NOP while it is awake"), Some(("completed", Some(0))));
    let (unseen, enters) = row(&report, "a NOP while it sleeps").unwrap();
    assert!(unseen.starts_with("unseen"), "{unseen}");
    assert_eq!(enters, Some(0));
    let (woken, enters) = row(&report, "an enter with SQ_WAKEUP").unwrap();
    assert!(woken.starts_with("woken"), "{woken}");
    assert_eq!(enters, Some(1));
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

#[test]
fn pitfall_21_sizes_are_rounded_up() {
    if !io_uring_or_skip("pitfall_21_sizes_are_rounded_up") {
        return;
    }
    let report = report(&[]);
    assert_eq!(row(&report, "5 entries"), Some(("8, and 16 completions", None)));
    assert_eq!(row(&report, "5 entries, CQSIZE 100"), Some(("8, and 128 completions", None)));
}

/// What the journal's code for day 02 does.
#[test]
fn journal_02_an_idle_time_without_sqpoll_does_nothing() {
    if !io_uring_or_skip("journal_02_an_idle_time_without_sqpoll_does_nothing") {
        return;
    }
    let walk = report(&[]);
    let (granted, _) = row(&walk, "idle 100 ms, no SQPOLL").unwrap();
    assert!(granted.starts_with("flags 0x0: no thread"), "{granted}");
    let ring = report(&["--sq-idle", "100"]);
    let (granted, _) = row(&ring, "sq_thread_idle 100").unwrap();
    assert!(granted.starts_with("nothing: without SQPOLL"), "{granted}");
    assert_eq!(ring["granted"]["flags"].as_array().map(Vec::len), Some(0));
}

// One ring, flag by flag.

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
    assert!(answer.starts_with("the NOP completed"), "{answer}");
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
    // The soft limit is raised as far as that.
    let output = limited("-Sn 20", "--slots 21");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
}

// What holds for all of it.

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
            assert!(stderr(&output).contains("came with Linux"), "{}", stderr(&output));
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
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
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
