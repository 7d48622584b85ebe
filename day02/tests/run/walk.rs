//! The walk without options: what it shows, by row of the pitfalls.

use testkit::io_uring_or_skip;

use super::*;

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
    assert!(plain.starts_with("the NOP completed; named by descriptor"), "{plain}");
    assert_eq!(enters, Some(1));
    let (registered, enters) = row(&report, "submitter.submit_and_wait(1)").unwrap();
    assert_eq!((registered, enters), ("its completion is there; named by index", Some(1)));
    if !Strace::works() {
        skip!("no strace that works here");
        return;
    }
    let (command, strace) = Strace::wrap(env!("CARGO_BIN_EXE_day02"), &["--register-ring-fd"]);
    assert!(output(command).status.success());
    let calls = strace.calls().expect("a record of the calls");
    let by_index: Vec<_> =
        calls.iter().map(|call| call.contains("IORING_ENTER_REGISTERED_RING")).collect();
    // The NOP before, the one by descriptor, and the one by index.
    assert_eq!(by_index, [false, false, true], "{calls:#?}");
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
    // The number of the slot that is read is no open descriptor. Which one that is varies.
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
        assert!(delivered.ends_with("seen without a call"), "{asked}: {delivered}");
        assert_eq!(enters, Some(1), "{asked}");
    }
    let Some((delivered, enters)) = row(&report, "SINGLE_ISSUER, DEFER_TASKRUN") else { return };
    assert_eq!(delivered, "since 6.1: not seen; only a wait brings it");
    assert_eq!(enters, Some(3), "the poll, a submit of nothing, a wait");
}

#[test]
fn pitfall_19_a_single_issuer_ring_is_for_the_thread_that_enables_it() {
    if !io_uring_or_skip("pitfall_19_a_single_issuer_ring_is_for_the_thread_that_enables_it") {
        return;
    }
    let report = report(&[]);
    if row(&report, "SINGLE_ISSUER").is_none() {
        return;
    }
    let made = row(&report, "SINGLE_ISSUER, two threads");
    assert_eq!(made, Some(("the other: EEXIST", Some(1))));
    let enabled = row(&report, "SINGLE_ISSUER, R_DISABLED");
    assert_eq!(enabled, Some(("the maker: EEXIST; its enabler: submitted", Some(2))));
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
fn pitfall_21_sizes_are_rounded_up() {
    if !io_uring_or_skip("pitfall_21_sizes_are_rounded_up") {
        return;
    }
    let report = report(&[]);
    assert_eq!(row(&report, "5 entries"), Some(("8, and 16 completions", None)));
    assert_eq!(row(&report, "5 entries, CQSIZE 100"), Some(("8, and 128 completions", None)));
}

/// What the journal's code for day 02 asks for. `tests/kernel.rs` shows that the kernel takes it
/// and starts no poller.
#[test]
fn journal_02_an_idle_time_without_sqpoll_does_nothing() {
    if !io_uring_or_skip("journal_02_an_idle_time_without_sqpoll_does_nothing") {
        return;
    }
    let ring = report(&["--sq-idle", "100"]);
    let (granted, _) = row(&ring, "sq_thread_idle 100").unwrap();
    assert!(granted.starts_with("nothing: without SQPOLL"), "{granted}");
    assert_eq!(ring["granted"]["flags"].as_array().map(Vec::len), Some(0));
}
