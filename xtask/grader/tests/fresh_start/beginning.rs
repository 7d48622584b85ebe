//! Where a learner begins, and where a renamed exercise is.

use grader::exercise::cost::Cost;
use grader::exercise::exercises::{self, Exercise};
use grader::exercise::folders;
use grader::exercise::progress::Progress;
use grader::learn::pages;
use grader::learn::placement::Start;
use grader::learn::session::Act;

use super::{Learner, failed, passed, start, without, workspace};

#[test]
fn what_lies_before_the_beginning_is_skipped_and_stays_open_to_the_learner() {
    let learner = Learner::new("fresh_from");
    learner.passes(&["hello_write"]);
    let mut session = learner.learns(&["--from", "day3"]);
    assert_eq!(session.exercise().name, "one_accept");
    assert!(session.notice.starts_with("9 exercises are skipped: l opens"), "{}", session.notice);
    assert_eq!(learner.skipped(), without(learner.names_of(&[1, 2]), "hello_write"));
    assert_eq!(session.done(), format!("1 of {} passed, 9 skipped", learner.all.len()));
    assert!(!learner.progress().skipped.contains("hello_write"));
    session.press('l').expect("the list");
    let list = session.page(80);
    assert!(list.contains("  -  1 first_nop") && list.contains("  +  2 hello_write"), "{list}");
    assert!(list.contains(">   11 one_accept") && list.contains("- skipped"), "{list}");

    // The learner returns to it, quits, and returns again: it is still the current exercise.
    for key in ['1', '\n'] {
        session.press(key).expect("a key");
    }
    assert_eq!(session.header(), "Day 1: first_nop (10 minutes, skipped)");
    let mut session = learner.learns(&[]);
    assert_eq!(session.exercise().name, "first_nop");
    session.judged(failed(), None).expect("a verdict");
    assert_eq!(session.header(), "Day 1: first_nop (10 minutes, skipped)");
    session.judged(passed(), None).expect("a verdict");
    assert_eq!(session.header(), "Day 1: first_nop (10 minutes, passed)");
    assert_eq!(session.press('n').expect("the next"), Act::Follow);
    assert_eq!(session.exercise().name, "one_accept", "what is skipped is not next");

    // Another `--from` decides again, but does not change finished exercises.
    let session = learner.learns(&["--from", "overflow"]);
    assert_eq!(session.exercise().name, "overflow");
    assert_eq!(learner.skipped(), ["one_enter", "in_order", "probe_first", "granted"]);
    assert_eq!(learner.learns(&["--from", "day01"]).exercise().name, "one_enter", "the first open");
    assert!(learner.skipped().is_empty());
    assert_eq!(learner.passed(), ["first_nop", "hello_write"]);
}

#[test]
fn a_beginning_that_is_not_there_is_wrong_usage() {
    let all = folders::load(&workspace()).expect("the exercises");
    for (from, words) in [
        ("day7", "there is no day7; there are day1, day2, day3, day4"),
        ("first_nob", "there is no exercise first_nob"),
    ] {
        let error = start(&all, &["--from", from]).expect_err("no such place");
        assert!(
            error.is::<exercises::WrongUsage>() && error.to_string().contains(words),
            "{error}"
        );
    }
    for both in [&["--from", "day2", "--test"][..], &["first_nop", "--test"]] {
        assert!(start(&all, both).is_err(), "{both:?}");
    }
    let untested: Vec<Exercise> = all.into_iter().filter(|it| !it.about.test).collect();
    let error = start(&untested, &["--test"]).expect_err("no test");
    assert!(error.to_string().contains("no exercise has `test = true`"), "{error}");
}

#[test]
fn lines_offer_no_key_that_only_a_screen_has() {
    let learner = Learner::new("fresh_lines");
    let mut session = learner.session(Start::LeftOff, true);
    let mut offered = pages::keys(true);
    for key in ['l', 'i', 'r'] {
        session.press(key).expect("a key");
        offered.push_str(&session.keys().join(" "));
    }
    for key in ["arrow", "PgUp", "Ctrl-Z", "Enter"] {
        assert!(!offered.contains(key), "{key}: {offered}");
    }
    assert!(offered.contains("a number opens that one"), "{offered}");
}

#[test]
fn a_renamed_exercise_keeps_its_progress_and_its_program() {
    let mut learner = Learner::new("fresh_renamed");
    learner.passes(&["first_nop", "of_another_course"]);
    let change = |progress: &mut Progress| {
        progress.current = Some("rearm".to_string());
        progress.hints.insert("rearm".to_string(), 2);
        progress.best.insert("rearm".to_string(), Cost { enters: 2, entries: 4 });
    };
    learner.progress().change(change).expect("a change");
    learner.writes("first_nop", "mine");
    for exercise in &mut learner.all {
        if ["first_nop", "rearm"].contains(&exercise.name.as_str()) {
            let new = format!("{}_new", exercise.name);
            exercise.about.formerly = Some(std::mem::replace(&mut exercise.name, new));
        }
    }
    let mut session = learner.learns(&[]);
    assert_eq!(session.exercise().name, "rearm_new");
    assert_eq!(session.done(), format!("1 of {} passed", learner.all.len()));
    assert_eq!(learner.progress().hints["rearm_new"], 2);
    assert_eq!(learner.progress().best["rearm_new"].entries, 4);
    for key in ['l', '1', '\n'] {
        session.press(key).expect("a key");
    }
    assert_eq!(session.header(), "Day 1: first_nop_new (10 minutes, passed)");
    assert_eq!(learner.program("first_nop_new").as_deref(), Some("mine"));
    session.press('l').expect("the list");
    let list = session.page(80);
    assert!(list.contains("Passed, and no longer in the list: of_another_course"), "{list}");
}
