//! Resets of everything, and taking them back.

use std::fs;
use std::process::{Command, Output};

use super::{Learner, workspace};

#[test]
fn everything_begins_again_and_comes_back() {
    let learner = Learner::new("fresh_reset");
    let (first, second) = (learner.exercise("first_nop"), learner.exercise("one_enter"));
    learner.workbook.begin(second).expect("a starter");
    learner.writes("first_nop", "mine");
    learner.writes("proxy", "half of it");
    fs::remove_file(learner.workbook.program("proxy")).expect("as a learner may");
    learner.writes("scratch", "of no exercise");
    learner.passes(&["first_nop", "hello_write"]);

    let moved = learner.workbook.reset_all(&learner.all).expect("a reset").expect("something");
    assert_eq!(
        (moved.programs, moved.passed),
        (1, 2),
        "a starter is not a program of the learner's"
    );
    let kept = fs::read_to_string(moved.folder.join("first_nop.rs")).expect("a backup");
    assert_eq!((kept.as_str(), moved.folder.file_name()), ("mine", Some("all.1".as_ref())));
    for name in ["first_nop", "one_enter", "proxy"] {
        assert_eq!(learner.program(name), None, "{name}");
    }
    assert_eq!(learner.program("scratch").as_deref(), Some("of no exercise"));
    assert!(learner.progress().is_empty());
    let session = learner.learns(&[]);
    assert_eq!(
        (session.exercise().name.as_str(), session.done()),
        ("first_nop", format!("0 of {} passed", learner.all.len()))
    );

    // Again, with only a starter there: it makes no new backup.
    assert_eq!(learner.workbook.reset_all(&learner.all).expect("a reset"), None);
    assert!(learner.workbook.begin(first).expect("a starter"));
    let moved = learner.workbook.undo_all(&learner.all).expect("an undo");
    assert_eq!((moved.programs, moved.passed, moved.kept), (1, 2, vec![]));
    assert_eq!(learner.program("first_nop").as_deref(), Some("mine"));
    assert_eq!(learner.passed(), ["first_nop", "hello_write"]);
    let error = learner.workbook.undo_all(&learner.all).expect_err("nothing is left");
    assert!(error.to_string().contains("no reset of everything to take back"), "{error}");
}

#[test]
fn what_was_done_since_a_reset_survives_its_undo() {
    let learner = Learner::new("fresh_since");
    let reset = || learner.workbook.reset_all(&learner.all).expect("a reset").expect("something");
    let undo = || learner.workbook.undo_all(&learner.all).expect("an undo");
    learner.writes("first_nop", "the first");
    learner.writes("granted", "the first");
    learner.passes(&["first_nop"]);
    reset();
    learner.writes("first_nop", "the second");
    learner.passes(&["one_enter"]);
    reset();
    learner.writes("first_nop", "the third");
    learner.passes(&["rearm"]);

    let moved = undo();
    assert_eq!(learner.program("first_nop").as_deref(), Some("the second"));
    assert_eq!(learner.program("granted"), None);
    assert_eq!(fs::read_to_string(&moved.kept[0]).expect("it"), "the third");
    assert_eq!(learner.passed(), ["one_enter", "rearm"]);
    // The reset before that.
    let moved = undo();
    assert_eq!(learner.program("first_nop").as_deref(), Some("the first"));
    assert_eq!(learner.program("granted").as_deref(), Some("the first"));
    assert_eq!(fs::read_to_string(&moved.kept[0]).expect("it"), "the second");
    assert_eq!(learner.passed(), ["first_nop", "one_enter", "rearm"]);
}

#[test]
fn a_reset_or_an_undo_that_is_interrupted_can_be_finished() {
    let learner = Learner::new("fresh_interrupted");
    learner.writes("first_nop", "mine");
    learner.writes("one_enter", "mine");
    learner.passes(&["first_nop"]);
    // An obstacle, at a place where a signal could end it.
    let folder = learner.workbook.folder().join("backup/all.1.unfinished");
    fs::create_dir_all(folder.join("one_enter.rs")).expect("a folder");
    learner.workbook.reset_all(&learner.all).expect_err("a folder is in its way");
    assert_eq!(learner.program("first_nop"), None);
    assert_eq!(learner.passed(), ["first_nop"]);
    learner.writes("first_nop", "mine, after that");
    fs::remove_dir(folder.join("one_enter.rs")).expect("ours to remove");
    let moved = learner.workbook.reset_all(&learner.all).expect("a reset").expect("something");
    assert_eq!((moved.programs, moved.passed), (2, 1));
    assert!(moved.folder.ends_with("backup/all.1"), "{}", moved.folder.display());
    let earlier = learner.workbook.folder().join("backup/first_nop.1.rs");
    assert_eq!(fs::read_to_string(earlier).expect("kept as well"), "mine");

    fs::create_dir(learner.workbook.program("one_enter")).expect("a folder in its way");
    learner.workbook.undo_all(&learner.all).expect_err("a folder is in its way");
    fs::remove_dir(learner.workbook.program("one_enter")).expect("ours to remove");
    learner.workbook.undo_all(&learner.all).expect("an undo");
    assert_eq!(learner.program("first_nop").as_deref(), Some("mine, after that"));
    assert_eq!(learner.program("one_enter").as_deref(), Some("mine"));
    assert_eq!(learner.passed(), ["first_nop"]);
}

#[test]
fn the_commands_say_what_they_did_and_how_to_take_it_back() {
    let learner = Learner::new("fresh_said");
    // The tool treats the folder above its own as the workspace.
    fs::create_dir(learner.folder.join("xtask")).expect("a folder");
    for file in ["Cargo.toml", "Cargo.lock", "day01", "day02", "day03", "day04"] {
        std::os::unix::fs::symlink(workspace().join(file), learner.folder.join(file))
            .expect("a link");
    }
    let exercise = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grader"));
        command.arg("exercise").args(arguments);
        command.env("CARGO_MANIFEST_DIR", learner.folder.join("xtask"));
        let Output { status, stdout, stderr } = command.output().expect("the tool");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
        (status.code(), text(stdout) + &text(stderr))
    };
    let (status, words) = exercise(&["reset", "--all"]);
    assert_eq!(status, Some(0), "{words}");
    assert!(words.starts_with("there is nothing to reset"), "{words}");
    learner.writes("first_nop", "mine");
    learner.passes(&["first_nop"]);
    let (status, words) = exercise(&["reset", "--all"]);
    let backup = learner.workbook.folder().join("backup/all.1");
    assert_eq!(status, Some(0), "{words}");
    assert!(words.starts_with("1 program and your progress (1 passed) are moved to"), "{words}");
    assert!(words.contains(&backup.display().to_string()), "{words}");
    assert!(
        words.contains("`cargo xtask exercise reset --all --undo` brings it all back"),
        "{words}"
    );
    learner.writes("first_nop", "mine, too");
    let (status, words) = exercise(&["reset", "--undo", "--all"]);
    assert_eq!(status, Some(0), "{words}");
    assert!(words.starts_with("1 program and your progress (1 passed) are back"), "{words}");
    assert!(words.contains("backup/first_nop.1.rs"), "{words}");
    assert_eq!(exercise(&["reset", "--undo", "--all"]).0, Some(1));
    for wrong in [&["reset"][..], &["reset", "first_nop", "--all"]] {
        assert_eq!(exercise(wrong).0, Some(2), "{wrong:?}");
    }
    learner.learns(&["--from", "day2"]);
    let (_, list) = exercise(&["list"]);
    assert!(list.contains("10 min  passed") && list.contains("15 min  skipped"), "{list}");
}
