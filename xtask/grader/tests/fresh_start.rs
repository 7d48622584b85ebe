//! Where a learner begins, which exercises are skipped, and resets, on a separate workbook with the
//! real exercises. Nothing is compiled here.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::Parser;
use grader::exercise::cost::Cost;
use grader::exercise::exercises::{self, Exercise};
use grader::exercise::failure::{Failure, Passed};
use grader::exercise::folders;
use grader::exercise::ids;
use grader::exercise::paint::Paint;
use grader::exercise::progress::Progress;
use grader::exercise::verdict::Verdict;
use grader::exercise::workbook::Workbook;
use grader::learn::pages;
use grader::learn::placement::{Begin, Start};
use grader::learn::session::{Act, Session};

/// A learner's workbook, and the exercises.
struct Learner {
    folder: PathBuf,
    workbook: Workbook,
    all: Vec<Exercise>,
}

impl Learner {
    fn new(name: &str) -> Learner {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        let all = folders::load(&workspace()).expect("the exercises");
        let workbook = Workbook::at(&workspace(), &folder.join("workbook"));
        workbook.prepare().expect("a workbook");
        Learner { folder, workbook, all }
    }

    fn exercise(&self, name: &str) -> &Exercise {
        exercises::find(&self.all, name).expect("an exercise")
    }

    /// As an editor does.
    fn writes(&self, name: &str, program: &str) {
        fs::write(self.workbook.program(name), program).expect("a save");
    }

    /// The learner's program, if there is one.
    fn program(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.workbook.program(name)).ok()
    }

    fn passes(&self, names: &[&str]) {
        let change =
            |progress: &mut Progress| names.iter().for_each(|name| progress.pass(name, None));
        self.progress().change(change).expect("a change");
    }

    fn progress(&self) -> Progress {
        Progress::load(self.workbook.folder()).expect("the progress")
    }

    fn passed(&self) -> Vec<String> {
        self.progress().passed.into_iter().collect()
    }

    fn session(&self, start: Start, plain: bool) -> Session {
        let (workbook, all) = (self.workbook.clone(), self.all.clone());
        Session::begin(&workspace(), workbook, all, start, Paint::default(), plain)
            .expect("a session")
    }

    /// `cargo xtask learn` with these arguments.
    fn learns(&self, arguments: &[&str]) -> Session {
        self.session(start(&self.all, arguments).expect("a place"), false)
    }

    /// The names of the skipped exercises.
    fn skipped(&self) -> Vec<String> {
        let progress = self.progress();
        let skipped = |it: &&Exercise| progress.mark(&it.name) == '-';
        self.all.iter().filter(skipped).map(|it| it.name.clone()).collect()
    }

    fn names_of(&self, days: &[u32]) -> Vec<String> {
        let those = |it: &&Exercise| days.contains(&it.day);
        self.all.iter().filter(those).map(|it| it.name.clone()).collect()
    }
}

impl Drop for Learner {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[derive(Parser, Debug)]
struct CommandLine {
    #[command(flatten)]
    begin: Begin,
}

fn start(all: &[Exercise], arguments: &[&str]) -> anyhow::Result<Start> {
    let line = CommandLine::try_parse_from([&["learn"], arguments].concat())?;
    Start::of(&line.begin, all)
}

fn without(mut names: Vec<String>, name: &str) -> Vec<String> {
    names.retain(|it| it != name);
    names
}

fn passed() -> Verdict {
    Verdict::Passed(Passed::new("Well done."))
}

fn failed() -> Verdict {
    Verdict::Failed(Failure::new(ids::HANG_WAIT, "It was run."))
}

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

/// Files that a learner copies to another machine must not depend on this one.
#[test]
fn a_workbook_speaks_of_no_place_outside() {
    let learner = Learner::new("fresh_carried");
    learner.writes("first_nop", "mine");
    learner.passes(&["first_nop"]);
    learner.workbook.reset_all(&learner.all).expect("a reset");
    learner.workbook.undo_all(&learner.all).expect("an undo");
    learner.learns(&["--from", "day2"]);
    let mut folders = vec![learner.workbook.folder().to_path_buf()];
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).expect("a folder").map(|it| it.expect("one").path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            files += 1;
            let text = fs::read_to_string(&path).expect("text");
            for place in [&learner.folder, &workspace().canonicalize().expect("it")] {
                let place = place.display().to_string();
                assert!(!text.contains(&place), "{}: {text}", path.display());
            }
        }
    }
    assert!(files > 5, "{files}");
}

#[test]
fn a_lock_of_another_machine_gives_way_and_the_learners_own_stays() {
    let learner = Learner::new("fresh_lock");
    let lock = learner.workbook.folder().join("Cargo.lock");
    let read = || fs::read_to_string(&lock).expect("a lock");
    let theirs = fs::read_to_string(workspace().join("Cargo.lock")).expect("a lock");
    assert_eq!(read(), theirs);
    // With a crate that the learner added. A new checkout of the workspace changes nothing.
    let mine = theirs.clone() + "\n[[package]]\nname = \"rand\"\nversion = \"0.9.0\"\n";
    fs::write(&lock, &mine).expect("a change");
    let long_ago = std::time::SystemTime::UNIX_EPOCH;
    fs::File::open(&lock).and_then(|it| it.set_modified(long_ago)).expect("ours");
    learner.workbook.prepare().expect("a workbook");
    assert_eq!(read(), mine);
    // Copied from a machine with another version of the workspace, just now.
    fs::write(learner.workbook.folder().join(".workspace.lock"), "another").expect("a file");
    fs::write(&lock, "[[package]]\nname = \"another\"\n").expect("a file");
    learner.workbook.prepare().expect("a workbook");
    assert_eq!(read(), theirs);
}

#[test]
fn an_alias_that_we_wrote_once_is_mended_and_one_of_the_learners_stays() {
    let learner = Learner::new("fresh_alias");
    let once = |up: &str| {
        format!("[alias]\nxtask = \"run --manifest-path {up}/Cargo.toml --package xtask --\"\n")
    };
    let path = |folder: &str| learner.workbook.folder().join(folder).join(".cargo/config.toml");
    let read = |folder: &str| fs::read_to_string(path(folder)).expect("a file");
    let now = ["", "src", "src/bin", "backup"].map(read);
    for (folder, up) in [("", ".."), ("src", "../.."), ("src/bin", "../../..")] {
        fs::write(path(folder), format!("# mine\n{}\n[net]\n", once(up))).expect("a file");
    }
    let mine = "[alias]\nxtask = \"run --package xtask --\"\n";
    fs::write(path("backup"), mine).expect("a file");
    learner.workbook.prepare().expect("a workbook");
    for (nth, folder) in ["", "src", "src/bin"].into_iter().enumerate() {
        let (text, alias) = (read(folder), now[nth].lines().last().expect("the alias"));
        assert!(text.contains(alias) && alias.contains("--target-dir"), "{text}");
        assert!(text.starts_with("# mine\n") && text.ends_with("[net]\n"), "{text}");
    }
    assert_eq!(read("backup"), mine);
}
