//! What is wrong with programs that have one fault each (`diagnosis/faults.rs`), and that nothing
//! is wrong with their twins, in which it is mended.

#[path = "diagnosis/faults.rs"]
mod faults;

use std::time::Duration;

use ringtrace::diagnosis::Diagnosis;
use ringtrace::launch::Program;
use ringtrace::{Outcome, Trace};
use testkit::{self, PATIENCE};

/// Not a test of its own: the program that the others trace.
#[test]
fn traced() {
    faults::run_if_asked();
}

/// What is found in a program, and its status; `None` if this kernel is too old for it. One that
/// hangs is stopped when `enough` was found.
fn diagnoses(fault: &str, twin: &str, enough: &str) -> Option<(Vec<Diagnosis>, i32)> {
    let program = Program {
        program: std::env::current_exe().expect("this program").into_os_string(),
        args: faults::AGAIN.map(Into::into).to_vec(),
        env: vec![("FAULT".into(), fault.into()), ("TWIN".into(), twin.into())],
        ..Default::default()
    };
    let trace = Trace::start(program, false, Vec::new()).expect("a trace");
    let named = || trace.summary().diagnoses.iter().any(|found| found.kind == enough);
    testkit::holds_within(PATIENCE, || trace.ended() || named());
    let Outcome { status, summary, failure } = match trace.ended() {
        true => trace.finish(),
        false => trace.stop(Duration::ZERO).0,
    };
    assert_eq!(failure, None);
    (status != faults::NOT_HERE).then_some((summary.diagnoses, status))
}

/// Asks about each fault, some at a time, for they sleep more than they work; all complaints.
fn complaints(about: impl Fn(&faults::Fault) -> Option<String> + Sync) -> Vec<String> {
    const AT_A_TIME: usize = 8;
    let ask = |some: &[faults::Fault]| -> Vec<String> {
        std::thread::scope(|scope| {
            let about = &about;
            let asked: Vec<_> =
                some.iter().map(|fault| scope.spawn(move || about(fault))).collect();
            asked.into_iter().filter_map(|it| it.join().expect("an answer")).collect()
        })
    };
    faults::ALL.chunks(AT_A_TIME).flat_map(ask).collect()
}

#[test]
fn a_fault_is_named_by_its_kind() {
    if !testkit::io_uring_or_skip("a_fault_is_named_by_its_kind") {
        return;
    }
    let wrong = complaints(|(name, kind, _)| {
        let Some((found, status)) = diagnoses(name, "faulty", kind) else {
            eprintln!("SKIPPED: {name} needs a later kernel");
            return None;
        };
        let named = found.iter().any(|it| it.kind == *kind);
        (!named).then(|| format!("{name}, status {status}: {found:#?}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn nothing_is_wrong_with_a_twin_that_was_mended() {
    if !testkit::io_uring_or_skip("nothing_is_wrong_with_a_twin_that_was_mended") {
        return;
    }
    let wrong = complaints(|(name, ..)| {
        let (found, status) = diagnoses(name, "mended", "")?;
        let clean = found.is_empty() && status == 0;
        (!clean).then(|| format!("{name}, mended, status {status}: {found:#?}"))
    });
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Said while it hangs, and once.
#[test]
fn a_hang_is_told_while_it_lasts() {
    if !testkit::io_uring_or_skip("a_hang_is_told_while_it_lasts") {
        return;
    }
    let (found, _) = diagnoses("waits_for_more", "faulty", "dead-wait").expect("every kernel");
    let told: Vec<_> = found.iter().map(|it| (it.kind, it.times)).collect();
    assert_eq!(told, [("dead-wait", 1)]);
    assert!(found[0].found_us < PATIENCE.as_micros() as u64);
}
