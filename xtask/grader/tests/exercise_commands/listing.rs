//! What the commands print: lists, hints and answers.

use std::fs;

use grader::exercise::progress::Progress;

use super::workspace::{Workspace, text};

#[test]
fn the_list_the_hints_and_the_solutions_can_be_had() {
    let workspace = Workspace::new("exercise_list");
    let list = workspace.run(&["exercise", "list"]);
    let list = text(&list.stdout);
    for exercise in workspace.exercises() {
        assert!(list.contains(&exercise.name), "{list}");
        assert_eq!(exercise.hints().expect("hints").len(), 3);
    }
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    let hint = workspace.run(&["exercise", "hint", "first_nop", "3"]);
    let hint = text(&hint.stdout);
    assert!(hint.contains("submit_and_wait"), "{hint}");
    assert!(hint.contains("An entry there, a completion back"), "the brief is above it: {hint}");
    let solution = workspace.run(&["exercise", "solution", "first_nop"]);
    assert!(text(&solution.stdout).contains("^^^"), "{}", text(&solution.stdout));
    let nothing = workspace.run(&["exercise", "check", "first_nob"]);
    assert_eq!(nothing.status.code(), Some(2), "wrong usage");
    assert!(text(&nothing.stderr).contains("there is no exercise first_nob"));
    let early = workspace.run(&["exercise", "reset", "first_nop"]);
    assert_eq!(early.status.code(), Some(1));
    assert!(
        text(&early.stderr)
            .trim_end()
            .ends_with("first_nop is not begun: there is nothing to reset")
    );
}

/// For a teacher: all other answers, and one with its edit marked.
#[test]
fn other_answers_are_listed_and_shown_with_their_edits() {
    let workspace = Workspace::new("exercise_show");
    let show = |arguments: &[&str]| {
        let output = workspace.run(&[&["exercise", "show"], arguments].concat());
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (_, list, _) = show(&["one_enter"]);
    assert!(list.contains("in_two_halves               E-ENTERS\n  Submits four NOPs"), "{list}");
    assert!(list.contains("polled                      passed\n"), "{list}");
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");
    let (_, page, _) = show(&["one_enter", "submits_each"]);
    let marked: Vec<&str> = page.lines().filter(|line| line.starts_with(['-', '+'])).collect();
    assert_eq!(marked, ["+        ring.submit()?;"], "{page}");
    assert!(page.contains("\n     for &tag in tags {\n") && !page.contains("^^"), "{page}");
    let (_, page, _) = show(&["one_enter", "empty"]);
    assert!(page.ends_with("A program of its own:\n\nfn main() {}\n"), "{page}");
    let (status, _, words) = show(&["one_enter", "submits_eech"]);
    assert_eq!(status, Some(2), "{words}");
    assert!(words.contains("one_enter has no variant submits_eech"), "{words}");
}

/// A change of a solution, or of the list, that leaves an answer behind.
#[test]
fn variants_that_do_not_fit_the_exercise_are_named() {
    let workspace = Workspace::new("exercise_variants");
    let folder = workspace.0.join("day01/exercises/one_enter");
    let fails = |words: &str| {
        let output = workspace.run(&["exercise", "show", "one_enter"]);
        let error = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{error}");
        assert!(error.contains("day01/exercises/one_enter/variants.toml"), "{error}");
        assert!(error.contains(words), "{error}");
    };
    let read = |file: &str| fs::read_to_string(folder.join(file)).expect("a file");
    let (solution, list) = (read("solution.rs"), read("variants.toml"));
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).expect("a file");
    write("solution.rs", &solution.replace("for &tag in tags {", "for tag in tags.to_vec() {"));
    fails("counts_from_one: `find` is in solution.rs 0 times, not once");
    write("solution.rs", &solution);
    write("wrong/another.rs", "fn main() {}");
    fails("wrong/another.rs is not listed");
    fs::remove_file(folder.join("wrong/another.rs")).expect("a removal");
    let twice = list.replace("\"in_two_halves\"", "\"empty\"");
    write("variants.toml", &twice);
    fails("two programs have the name empty");
    let gone = list.replace("\"polled\"", "\"polled_too\"");
    write("variants.toml", &gone);
    fails("right/polled_too.rs");
}

#[test]
fn an_unfinished_exercise_stops_no_other() {
    let workspace = Workspace::new("exercise_unfinished");
    let half = workspace.0.join("day01/exercises/half");
    fs::create_dir(&half).expect("a folder");
    fs::write(workspace.0.join("day02/exercises/granted/exercise.toml"), "title =")
        .expect("a file");
    let output = workspace.run(&["exercise", "list"]);
    let (list, left_out) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{left_out}");
    assert!(list.contains("first_nop") && !list.contains("granted"), "{list}");
    assert!(left_out.contains("left out: day01/exercises/half has no exercise.toml"), "{left_out}");
    assert!(left_out.contains("left out: day02/exercises/granted/exercise.toml: "), "{left_out}");
    // One unfinished exercise stops all proofs.
    let output = workspace.run(&["exercise", "verify"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output.stdout));
    assert!(text(&output.stderr).contains("2 unfinished exercises"), "{}", text(&output.stderr));
}

#[test]
fn what_cannot_be_printed_is_a_failure() {
    let workspace = Workspace::new("exercise_unprinted");
    let class = workspace.0.join("class");
    fs::create_dir_all(class.join("ada")).expect("a folder");
    let class = class.display().to_string();
    for arguments in [
        &["exercise", "list"][..],
        &["exercise", "list", "--json"],
        &["exercise", "hint", "first_nop"],
        &["exercise", "solution", "first_nop"],
        &["exercise", "show", "first_nop"],
        &["class", &class],
        &["exercise", "--help"],
    ] {
        let full = fs::OpenOptions::new().write(true).open("/dev/full").expect("a full disk");
        let output = workspace.xtask(arguments).stdout(full).output().expect("the tool");
        let words = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{arguments:?}: {words}");
        assert!(words.contains("No space left on device"), "{arguments:?}: {words}");
    }
}

#[test]
fn who_gives_up_is_noted_as_learn_does_and_a_passed_exercise_stays_passed() {
    let workspace = Workspace::new("exercise_give_up");
    let state = |name: &str| {
        let list = workspace.run(&["exercise", "list", "--json"]);
        let objects = text(&list.stdout);
        let mut objects = objects
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).expect("an object a line"));
        let object = objects.find(|object| object["exercise"] == name).expect("an exercise");
        assert_eq!(object["program"], workspace.program(name).display().to_string());
        object["state"].as_str().expect("a state").to_string()
    };
    let mut progress = Progress::load(&workspace.0.join("workbook")).expect("none yet");
    fs::create_dir_all(workspace.0.join("workbook")).expect("a folder");
    progress.change(|all| all.pass("one_enter", None)).expect("a change");
    for (name, then) in [("first_nop", "given up"), ("one_enter", "passed")] {
        let output = workspace.run(&["exercise", "solution", "--give-up", name]);
        assert!(text(&output.stdout).contains("^^^"), "{}", text(&output.stderr));
        assert_eq!(state(name), then);
    }
    workspace.run(&["exercise", "solution", "in_order"]);
    assert_ne!(state("in_order"), "given up", "it was only printed");
}
