//! How a program is run: with a tracer and without one, with limits, and to its end.

use grader::exercise::failure::Failure;
use grader::exercise::ids;
use grader::exercise::launch::Launch;
use io_uring::opcode;
use testkit::io_uring_or_skip;

use super::{AGAIN, attempt, launch, record};

/// Runs it to its end, and then without a tracer.
fn unwatched(program: &str) -> Result<(), Failure> {
    let attempt = attempt();
    let launch = attempt.run(format!("The program was run as {program}."));
    let launch = AGAIN.into_iter().fold(launch, Launch::arg).env("LEARNER", program);
    launch.to_end().expect("a program that ends");
    attempt.need_the_same_unwatched()
}

#[test]
fn a_program_that_is_another_when_nobody_watches_is_found_out() {
    let failure = unwatched("says_who_watches").expect_err("it prints something else");
    assert_eq!(failure.id, ids::OUTPUT, "{failure:#?}");
    unwatched("says_how_it_is_run").expect("the same");
    unwatched("never_says_the_same").expect("nothing to compare");
    let failure = unwatched("hides_a_child").expect_err("nobody knows what it does");
    assert_eq!(failure.id, ids::NOT_THROUGH_RING, "{failure:#?}");
}

#[test]
fn nothing_in_the_environment_says_that_a_program_is_checked() {
    assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some(), "Cargo says it to us");
    let record = record("says_how_it_is_run");
    assert!(record.stdout.contains("told by: []"), "{}", record.stdout);
}

#[test]
fn any_write_can_be_made_to_fail() {
    let record = launch("writes_twice").file_limit(4).to_end().expect("an end");
    assert!(record.stdout.contains("results: [Ok(4), Err(FileTooLarge)]"), "{}", record.stdout);
}

#[test]
fn an_operation_can_be_denied() {
    if !io_uring_or_skip("an_operation_can_be_denied") {
        return;
    }
    assert!(record("asks_for_a_write").stdout.contains("[true, true]"));
    let launch = launch("asks_for_a_write").denied(opcode::Write::CODE);
    let record = launch.to_end().expect("an end");
    assert!(record.stdout.contains("[true, false]"), "{}", record.stdout);
}

#[test]
fn nothing_is_left_behind_of_a_program_that_forks() {
    let run = launch("forks_and_waits").start().expect("a run");
    let pid = run.pid();
    testkit::wait_until("the child", || children(pid).len() == 1);
    let child = children(pid).remove(0);
    drop(run);
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    // It may be a zombie, which no process in a container reaps.
    let stat = std::fs::read_to_string(format!("/proc/{child}/stat")).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

/// Of any of its threads.
fn children(pid: u32) -> Vec<String> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return Vec::new() };
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    let text: String = tasks.flatten().filter_map(|task| of(task).ok()).collect();
    text.split_whitespace().map(str::to_string).collect()
}

#[test]
fn a_program_has_settled_when_all_is_done() {
    if !io_uring_or_skip("a_program_has_settled_when_all_is_done") {
        return;
    }
    let run = launch("works_for_a_while").start().expect("a run");
    assert!(run.settles());
    assert_eq!(run.record().completed("NOP").len(), 5);
    assert!(run.clock() > run.record().events.last().expect("events").us);
}

#[test]
fn numbers_and_words_are_not_known_beforehand() {
    let attempt = attempt();
    assert_ne!((attempt.tag(), attempt.word(12)), (attempt.tag(), attempt.word(12)));
    for _ in 0..100 {
        assert!((5..=6).contains(&attempt.number(5..=6)));
    }
}
