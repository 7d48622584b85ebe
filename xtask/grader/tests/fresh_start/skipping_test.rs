//! The test that decides which days are skipped: `learn --test`.

use grader::exercise::failure::Failure;
use grader::exercise::folders;
use grader::exercise::verdict::Verdict;
use grader::learn::session::Act;

use super::{Learner, failed, passed, without, workspace};

#[test]
fn each_day_has_one_exercise_for_the_test() {
    let all = folders::load(&workspace()).expect("the exercises");
    let days: Vec<u32> = all.iter().filter(|it| it.about.test).map(|it| it.day).collect();
    assert_eq!(days, [1, 2, 3, 4]);
}

#[test]
fn a_test_skips_the_days_whose_exercise_is_passed() {
    let learner = Learner::new("fresh_test");
    let mut session = learner.learns(&["--test"]);
    assert_eq!(session.header(), "Test of day 1: in_order (15 minutes)");
    // A program that fails can be corrected.
    session.judged(failed(), None).expect("a verdict");
    assert!(session.notice.contains("n ends the test"), "{}", session.notice);
    session.judged(passed(), None).expect("a verdict");
    assert!(session.page(80).contains("the rest of day 1 is skipped"), "{}", session.page(80));
    let first_day = without(learner.names_of(&[1]), "in_order");
    assert_eq!(learner.skipped(), first_day, "at once");

    // After quitting, the test continues. After opening another exercise, it continues only with
    // `--test`.
    let mut session = learner.learns(&[]);
    assert_eq!(session.header(), "Test of day 2: no_descriptor (15 minutes)");
    session.press('p').expect("the previous one");
    assert!(session.notice.contains("`cargo xtask learn --test` goes on"), "{}", session.notice);
    assert_eq!(learner.learns(&[]).header(), "Day 2: ring_fd (15 minutes)");
    let mut session = learner.learns(&["--test"]);
    assert_eq!(session.header(), "Test of day 2: no_descriptor (15 minutes)");

    // After ending the test the solution stays hidden, and the day is open.
    for (key, notice) in [
        ('s', "End the test and start with day 2?"),
        ('x', "Nothing was changed."),
        ('n', "End the test and start with day 2?"),
    ] {
        session.press(key).expect("a key");
        assert_eq!(session.notice, notice);
    }
    assert_eq!(session.press('y').expect("an answer"), Act::Follow);
    assert_eq!(session.header(), "Day 2: granted (10 minutes)");
    assert_eq!(session.done(), format!("1 of {} passed, 4 skipped", learner.all.len()));
    assert_eq!(learner.skipped(), first_day);
    assert_eq!(learner.learns(&[]).header(), "Day 2: granted (10 minutes)", "the test is over");
}

#[test]
fn a_test_that_is_passed_leaves_nothing_but_what_one_likes() {
    let learner = Learner::new("fresh_all");
    // As a check on the command line counts it. All of day 2 is done except its test exercise.
    learner.passes(&["in_order"]);
    let second_day = without(learner.names_of(&[2]), "no_descriptor");
    learner.passes(&second_day.iter().map(String::as_str).collect::<Vec<_>>());
    let mut session = learner.learns(&["--test"]);
    for (test, next) in [
        ("Test of day 2: no_descriptor (15 minutes)", "n  the test goes on"),
        ("Test of day 3: last_orders (15 minutes)", "n  the test goes on"),
        ("Test of day 4: proxy (30 minutes)", "n  the next exercise"),
    ] {
        assert_eq!(session.header(), test);
        session.judged(passed(), None).expect("a verdict");
        let page = session.page(80);
        assert!(page.contains(next), "{page}");
        session.press('n').expect("a key");
    }
    // The exercises after the days have no test.
    assert_eq!(session.done(), format!("8 of {} passed, 16 skipped", learner.all.len()));
    assert!(session.header().starts_with("Beyond: "), "{}", session.header());
    let session = learner.learns(&["--test"]);
    assert!(session.notice.starts_with("Every day is tested. 16 exer"), "{}", session.notice);
}

#[test]
fn what_this_machine_cannot_decide_skips_nothing() {
    let learner = Learner::new("fresh_unseen");
    let mut session = learner.learns(&["--test"]);
    let unseen = Verdict::Failed(Failure::not_observed("No rings here."));
    session.judged(unseen, None).expect("a verdict");
    assert!(session.page(80).contains("n  ends the test and starts with day 1"));
    for key in ['n', 'y'] {
        session.press(key).expect("a key");
    }
    assert_eq!(session.header(), "Day 1: first_nop (10 minutes)");
    assert!(learner.skipped().is_empty());
}
