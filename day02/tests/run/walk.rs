//! The walk without options: what it shows, by row of the pitfalls.

use common::drive::io_uring_or_skip;

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
