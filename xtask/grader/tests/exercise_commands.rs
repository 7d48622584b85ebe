//! The commands as a learner and a teacher use them, on a copy of the workspace, so that no test
//! changes a real workbook.

mod workspace;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use grader::exercise::exercises::Exercise;
use grader::exercise::folders::{self, BEYOND};
use grader::exercise::markdown;
use grader::exercise::paint::Paint;
use grader::exercise::progress::Progress;
use grader::exercise::workbook::Workbook;
use nix::pty::{Winsize, openpty};
use nix::sys::signal::{SigHandler, Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use testkit::{self, holds_within, io_uring_or_skip};

use workspace::{LONG, Workspace, text};

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
    let workspace = Workspace::new("exercise_full");
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
fn a_reset_keeps_what_was_there_and_can_be_undone() {
    let workspace = Workspace::new("exercise_reset");
    let (workbook, exercise) = (Workbook::of(&workspace.0), workspace.exercise("first_nop"));
    assert!(workbook.begin(&exercise).expect("a starter"));
    fs::write(workspace.program("first_nop"), "mine").expect("a save");
    assert!(!workbook.begin(&exercise).expect("nothing to do"));
    assert_eq!(fs::read_to_string(workspace.program("first_nop")).expect("mine"), "mine");
    let backup = workbook.reset(&exercise).expect("a reset").expect("something to keep");
    assert_eq!(fs::read_to_string(backup).expect("a backup"), "mine");
    let starter = fs::read_to_string(exercise.starter()).expect("the starter");
    let program = || fs::read_to_string(workspace.program("first_nop")).expect("it");
    assert_eq!(program(), starter);
    // The starter needs no backup: it would stand in the way of the learner's program.
    assert_eq!(workbook.reset(&exercise).expect("nothing to do"), None);
    assert_eq!(workbook.undo(&exercise).expect("an undo"), None);
    assert_eq!(program(), "mine");
    let error = workbook.undo(&exercise).expect_err("nothing is left to take back");
    assert!(error.to_string().contains("no other program of first_nop"), "{error}");
    // The undo keeps files that were written since the reset.
    workbook.reset(&exercise).expect("a reset");
    fs::write(workspace.program("first_nop"), "mine, too").expect("a save");
    let kept = workbook.undo(&exercise).expect("an undo").expect("something to keep");
    assert_eq!(
        (program().as_str(), fs::read_to_string(kept).expect("it")),
        ("mine", "mine, too".into())
    );
    workbook.undo(&exercise).expect("an undo");
    assert_eq!(program(), "mine, too");
}

#[test]
fn crates_and_features_of_the_learners_stay_and_versions_follow_the_workspace() {
    let workspace = Workspace::new("exercise_manifest");
    let workbook = Workbook::of(&workspace.0);
    workbook.prepare().expect("a workbook");
    let path = workspace.0.join("workbook/Cargo.toml");
    let made = fs::read_to_string(&path).expect("a manifest");
    let anyhow = made.lines().find(|line| line.starts_with("anyhow")).expect("a dependency");
    let mine = made
        .replace("\"socket\"", "\"term\", \"socket\"")
        .replace(anyhow, "anyhow = \"0.1\" # mine")
        .lines()
        .filter(|line| !line.starts_with("libc"))
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .replace("[profile", "rand = \"0.9\"\n\n[profile");
    fs::write(&path, &mine).expect("a change");
    workbook.prepare().expect("a workbook");
    let text = fs::read_to_string(&path).expect("a manifest");
    for line in ["rand = \"0.9\"", "libc = ", "\"term\", \"socket\"", anyhow] {
        assert!(text.contains(line), "{line}: {text}");
    }
    workbook.prepare().expect("a workbook");
    assert_eq!(fs::read_to_string(&path).expect("a manifest"), text, "nothing is left to do");
    // Cargo reports the fault, and the tool does not replace the file.
    fs::write(&path, "[package").expect("a change");
    workbook.prepare().expect("a workbook");
    assert_eq!(fs::read_to_string(&path).expect("a manifest"), "[package");
}

#[test]
fn a_program_that_is_checked_is_not_replaced_by_another_of_its_name() {
    let workspace = Workspace::new("exercise_copies");
    let built = ["one", "two"].map(|word| {
        let workbook = Workbook::at(&workspace.0, &workspace.0.join(word));
        workbook.prepare().expect("a workbook");
        let program = format!("fn main() {{ print!({word:?}) }}");
        fs::write(workbook.program("first_nop"), program).expect("a save");
        workbook.compile("first_nop").expect("a build")
    });
    let programs = built.each_ref().map(|built| built.program("first_nop").expect("a program"));
    let printed = programs
        .each_ref()
        .map(|program| text(&Command::new(program).output().expect("a run").stdout));
    assert_eq!(printed, ["one", "two"]);
    drop(built);
    assert!(programs.iter().all(|program| !program.exists()), "{programs:?}");
}

/// Cargo compares times: a program that is older than its compiled file is not compiled again.
#[test]
fn a_program_that_comes_with_its_old_time_is_compiled() {
    let workspace = Workspace::new("exercise_times");
    let workbook = Workbook::of(&workspace.0);
    workbook.prepare().expect("a workbook");
    let printing = |word: &str| format!("fn main() {{ print!({word:?}) }}");
    let prints = |name: &str| {
        let built = workbook.compile(name).expect("a build");
        let program = built.program(name).expect("a program");
        text(&Command::new(program).output().expect("a run").stdout)
    };
    // Copied from another machine, with its time.
    fs::write(workspace.program("carried"), printing("here")).expect("a save");
    assert_eq!(prints("carried"), "here");
    let elsewhere = workspace.0.join("elsewhere.rs");
    fs::write(&elsewhere, printing("elsewhere")).expect("a file");
    let earlier = SystemTime::now() - Duration::from_secs(3600);
    File::open(&elsewhere).and_then(|file| file.set_modified(earlier)).expect("ours");
    fs::rename(&elsewhere, workspace.program("carried")).expect("a move");
    assert_eq!(prints("carried"), "elsewhere");

    let exercise = Exercise { name: "undone".to_string(), ..workspace.exercise("first_nop") };
    fs::write(workspace.program("undone"), printing("mine")).expect("a save");
    let backup = workbook.reset(&exercise).expect("a reset").expect("a backup");
    File::open(backup).and_then(|file| file.set_modified(earlier)).expect("ours");
    workbook.compile("undone").expect("a build of the starter");
    workbook.undo(&exercise).expect("an undo");
    assert_eq!(prints("undone"), "mine");
}

#[test]
fn the_tool_is_found_from_every_folder_of_the_workbook() {
    let workspace = Workspace::new("exercise alias ü");
    Workbook::of(&workspace.0).prepare().expect("a workbook");
    // A tool that compiles quickly.
    let manifest = fs::read_to_string(workspace.0.join("Cargo.toml")).expect("a manifest");
    let manifest = manifest.replace("[\"common\"]", "[\"xtask\"]");
    fs::write(workspace.0.join("Cargo.toml"), manifest).expect("a file");
    let package = "[package]\nname = \"xtask\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    fs::write(workspace.0.join("xtask/Cargo.toml"), package).expect("a file");
    fs::create_dir(workspace.0.join("xtask/src")).expect("a folder");
    let program = "fn main() { print!(\"{:?}\", std::env::args().nth(1)) }";
    fs::write(workspace.0.join("xtask/src/main.rs"), program).expect("a file");
    for folder in ["workbook", "workbook/src", "workbook/src/bin", "workbook/backup"] {
        let mut command = Command::new(env!("CARGO"));
        command.args(["xtask", "learn"]).current_dir(workspace.0.join(folder));
        command.env("CARGO_NET_OFFLINE", "true").env_remove("CARGO_TARGET_DIR");
        let output = command.output().expect("Cargo");
        assert_eq!(text(&output.stdout), "Some(\"learn\")", "{folder}: {}", text(&output.stderr));
    }
    // It is the compiled tool of the workspace, not a second one beside the learner's programs.
    assert!(workspace.0.join("target/debug/xtask").is_file());
    assert!(!workspace.0.join("target/workbook").exists());
}

#[test]
fn a_full_disk_leaves_no_half_file() {
    let workspace = Workspace::new("exercise_full");
    let mut command = workspace.xtask(&["exercise", "check", "first_nop"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // Like a full disk, also for root: no file may be longer than this, and Cargo.lock is longer.
    let limit = || {
        nix::sys::resource::setrlimit(nix::sys::resource::Resource::RLIMIT_FSIZE, 4096, 4096)?;
        // SAFETY: it sets a disposition, in a child that has no other thread.
        unsafe { nix::sys::signal::signal(Signal::SIGXFSZ, SigHandler::SigIgn) }?;
        Ok(())
    };
    // SAFETY: the closure runs in the child after fork and makes system calls only.
    unsafe { command.pre_exec(limit) };
    let output = testkit::output_within(command, LONG).expect("an end");
    let words = text(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{words}");
    assert!(words.contains("workbook/Cargo.lock: File too large"), "{words}");
    let files: Vec<String> = fs::read_dir(workspace.0.join("workbook"))
        .expect("a folder")
        .map(|entry| text(entry.expect("a file").file_name().as_encoded_bytes()))
        .collect();
    assert!(!files.iter().any(|file| file.contains("Cargo.lock")), "{files:?}");
    Workbook::of(&workspace.0).prepare().expect("a workbook");
    let lock = |folder: &str| fs::read(workspace.0.join(folder).join("Cargo.lock")).expect("it");
    assert!(lock("workbook") == lock("."), "with room on the disk it is made");
    // As Cargo leaves it on a full disk.
    fs::write(workspace.0.join("workbook/Cargo.lock"), "[[package]]\nname = \"any")
        .expect("a file");
    Workbook::of(&workspace.0).prepare().expect("a workbook");
    assert!(lock("workbook") == lock("."), "half a file is made again");
}

#[test]
fn a_name_that_no_exercise_has_leaves_no_workbook() {
    let workspace = Workspace::new("exercise_nope");
    let output = workspace.run(&["learn", "nope"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    assert!(!workspace.0.join("workbook").exists());
}

#[test]
fn a_progress_that_cannot_be_read_is_said_and_kept() {
    let workspace = Workspace::new("exercise_spoilt");
    fs::create_dir(workspace.0.join("workbook")).expect("a folder");
    fs::write(workspace.0.join("workbook/progress.json"), "garbage{").expect("a file");
    let output = workspace.run(&["exercise", "list"]);
    let words = text(&output.stderr);
    assert!(output.status.success() && words.contains("progress.spoilt.1.json"), "{words}");
}

/// The book promises 80 columns for all texts of a learner.
#[test]
fn briefs_hints_starters_and_solutions_fit_the_screen() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for exercise in folders::load(&real).expect("the exercises") {
        let mut pages = exercise.hints().expect("hints");
        pages.push(exercise.brief().expect("a brief"));
        let shown = |text: &String| markdown::page(text, 80, Paint::default());
        let mut pages: Vec<String> = pages.iter().map(shown).collect();
        for path in [exercise.starter(), exercise.solution()] {
            pages.push(fs::read_to_string(path).expect("a program"));
        }
        for line in pages.iter().flat_map(|page| page.lines()) {
            assert!(line.chars().count() <= 80, "{}: {line}", exercise.name);
            assert!(!line.contains("**"), "{}: {line}", exercise.name);
        }
        let solution = pages.last().expect("the solution");
        let mut above = "";
        for line in solution.lines() {
            let Some(carets) = carets(line) else {
                above = line;
                continue;
            };
            let under: Vec<char> = above.chars().collect();
            let code = |at: usize| under.get(at).is_some_and(|letter| *letter != ' ');
            let right = code(carets.start) && code(carets.end - 1);
            assert!(
                right,
                "{}: the carets are not under what they mean:\n{above}\n{line}",
                exercise.name
            );
        }
    }
}

/// All briefs introduce the acceptance rule with the same words, and each exercise has a place on a
/// page of its day. `book check` tests that the place exists.
#[test]
fn each_exercise_says_when_it_is_passed_and_has_a_place_of_its_own() {
    let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut places = std::collections::BTreeSet::new();
    for exercise in folders::load(&real).expect("the exercises") {
        let brief = exercise.brief().expect("a brief");
        let rules =
            brief.lines().filter(|line| line.starts_with("It is passed when, for ")).count();
        assert_eq!(rules, 1, "{}: its brief says once when it is passed", exercise.name);
        let place = exercise.about.book.clone();
        let (page, _) = place.split_once('#').expect("a place on its page");
        // Day 4 has several: `day4.html`, `day4-echo.html`. A chapter after the journal has a name.
        let of_day = page.strip_prefix(&format!("day{}", exercise.day));
        let is_its = of_day.is_some_and(|rest| rest.starts_with(['.', '-']));
        assert!(is_its || exercise.day == BEYOND && !page.starts_with("day"), "{place}");
        assert!(places.insert(place.clone()), "{}: {place} is another's, too", exercise.name);
    }
}

/// The columns of the carets in a comment that points at the line above it.
fn carets(line: &str) -> Option<std::ops::Range<usize>> {
    let from = line.trim_start().strip_prefix("//")?.trim_start();
    let length = from.chars().take_while(|letter| *letter == '^').count();
    let start = line.chars().count() - from.chars().count();
    (length > 0).then_some(start..start + length)
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]);
    command.arg("-C").arg(folder).args(arguments);
    let output = command.output().expect("git");
    assert!(output.status.success(), "git {arguments:?}: {}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_pull_never_touches_the_workbook() {
    if Command::new("git").arg("--version").output().is_err() {
        return testkit::skipped("a_pull_never_touches_the_workbook", "there is no git");
    }
    let upstream = Workspace::new("exercise_upstream");
    git(&upstream.0, &["init", "-q", "-b", "main"]);
    git(&upstream.0, &["add", "-A"]);
    git(&upstream.0, &["commit", "-qm", "the first term"]);
    let learner = Workspace(upstream.0.with_extension("learner"));
    let _ = fs::remove_dir_all(&learner.0);
    git(&upstream.0, &["clone", "-q", ".", &learner.0.display().to_string()]);

    let (workbook, exercise) = (Workbook::of(&learner.0), learner.exercise("first_nop"));
    workbook.begin(&exercise).expect("a starter");
    workbook.tell_editor().expect("a file");
    fs::write(learner.program("first_nop"), "half of my wo").expect("a save");
    assert_eq!(git(&learner.0, &["status", "--porcelain"]), "", "git sees nothing of it");

    let starter = upstream.exercise("first_nop").starter();
    fs::write(&starter, "// another starter\nfn main() {}\n").expect("a change");
    git(&upstream.0, &["commit", "-qam", "the second term"]);
    git(&learner.0, &["pull", "-q", "--ff-only"]);

    let changed = fs::read_to_string(exercise.starter()).expect("the starter");
    assert!(changed.starts_with("// another starter"), "the pull came through");
    workbook.begin(&exercise).expect("nothing to do");
    let mine = fs::read_to_string(learner.program("first_nop")).expect("mine");
    assert_eq!(mine, "half of my wo");
    assert_eq!(git(&learner.0, &["status", "--porcelain"]), "");
}

#[test]
fn a_check_for_scripts_is_one_object_a_line() {
    if !io_uring_or_skip("a_check_for_scripts_is_one_object_a_line") {
        return;
    }
    let workspace = Workspace::new("exercise_check");
    let check = || {
        let output = workspace.run(&["exercise", "check", "--json", "--rings", "first_nop"]);
        let line = text(&output.stdout);
        let object: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{line}{}", text(&output.stderr)));
        (output.status.code(), object)
    };
    let (status, object) = check();
    assert_eq!((status, object["id"].as_str()), (Some(1), Some("E-NOT-SUBMITTED")), "{object}");
    fs::write(workspace.program("first_nop"), "fn main() { oops }").expect("a save");
    let (status, object) = check();
    assert_eq!((status, object["id"].as_str()), (Some(1), Some("E-COMPILE")), "{object}");
    assert!(object["compiler"].as_str().is_some_and(|words| words.contains("oops")), "{object}");
    assert!(object["trace"].is_null(), "it made no ring: {object}");
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a copy");
    let (status, object) = check();
    assert_eq!((status, object["verdict"].as_str()), (Some(0), Some("passed")), "{object}");
    assert_eq!(object["trace"]["rings"][0]["counts"]["NOP"], 1, "{object}");
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

/// Wrong tokens, and the verdict on them.
#[test]
fn a_wrong_user_data_is_named_in_the_verdict() {
    if !io_uring_or_skip("a_wrong_user_data_is_named_in_the_verdict") {
        return;
    }
    let workspace = Workspace::new("exercise_tokens");
    let check = |name: &str, right: &str, wrong: &str| {
        let text_of = |path: &Path| fs::read_to_string(path).expect("a program");
        let solution = text_of(&workspace.exercise(name).solution());
        assert_eq!(solution.matches(right).count(), 1, "{name}: {right}");
        fs::create_dir_all(workspace.0.join("workbook/src/bin")).expect("a folder");
        fs::write(workspace.program(name), solution.replace(right, wrong)).expect("a save");
        let output = workspace.run(&["exercise", "check", name]);
        let words = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{words}{}", text(&output.stderr));
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let accept = ".user_data(Token::of(Op::Accept).pack())";
    let words = check("rearm", accept, "");
    assert!(words.contains("ACCEPT slot 0 MORE [0]"), "{words}");
    assert!(
        words.contains("came with the user_data 0, and the program submitted nothing after"),
        "{words}"
    );
    let words = check("rearm", accept, ".user_data(Token::of(Op::Send).pack())");
    assert!(words.contains("came with the user_data send slot 0 #0, and the program"), "{words}");
    // All receives carry the token of slot 0.
    let receive = "self.push(Op::Recv, slot, recv)";
    let words = check("buffer_ring", receive, "self.push(Op::Recv, 0, recv)");
    assert!(
        words.contains("This RECV works on slot 1, but its `user_data` names another one"),
        "{words}"
    );
    assert!(words.contains("[recv slot 0 #0]"), "{words}");
}

#[test]
fn where_rings_are_blocked_nothing_is_passed_and_nothing_failed() {
    let workspace = Workspace::new("exercise_blocked");
    Workbook::of(&workspace.0).prepare().expect("a workbook");
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a copy");
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = workspace.xtask(&["exercise", "check", "--json", "first_nop"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        testkit::block_io_uring(&mut command, errno);
        let output = testkit::output_within(command, LONG).expect("an end");
        let line = text(&output.stdout);
        assert!(line.contains(r#""verdict":"not observed""#), "{line}{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
}

/// The tool on its own terminal of 80 columns and 24 rows.
struct Screen {
    child: Child,
    keys: File,
    seen: Arc<Mutex<String>>,
}

impl Screen {
    fn new(workspace: &Workspace, arguments: &[&str]) -> Screen {
        Screen::of(workspace.xtask(arguments))
    }

    fn of(mut command: Command) -> Screen {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(&size, None).expect("a terminal");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        command.env("TERM", "xterm").env("NO_COLOR", "1").env("EDITOR", "true");
        // A separate process group, as a shell makes it: an orphaned group cannot be stopped.
        command.process_group(0);
        command.stdin(end(&terminal.slave)).stdout(end(&terminal.slave));
        let child = command.stderr(end(&terminal.slave)).spawn().expect("the tool");
        drop((command, terminal.slave));
        let seen = Arc::new(Mutex::new(String::new()));
        let theirs = Arc::clone(&seen);
        let mut output = File::from(terminal.master.try_clone().expect("a descriptor"));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with an error when no process has the other side open any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                theirs.lock().expect("a lock").push_str(&text(&bytes[..count]));
            }
        });
        Screen { child, keys: File::from(terminal.master), seen }
    }

    /// The output since the last key.
    fn drawn(&self) -> String {
        self.seen.lock().expect("a lock").clone()
    }

    #[track_caller]
    fn shows(&self, words: &str) {
        let found = holds_within(LONG, || self.drawn().contains(words));
        assert!(found, "{words:?} is not in {:?}", self.drawn());
    }

    fn press(&mut self, keys: &str) {
        self.seen.lock().expect("a lock").clear();
        self.keys.write_all(keys.as_bytes()).expect("a terminal");
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_learner_passes_an_exercise_is_killed_and_goes_on() {
    if !io_uring_or_skip("a_learner_passes_an_exercise_is_killed_and_goes_on") {
        return;
    }
    let workspace = Workspace::new("exercise_learn");
    let mut screen = Screen::new(&workspace, &["learn"]);
    screen.shows("An entry there, a completion back");
    screen.shows("0 of ");
    screen.press("h");
    screen.shows("Hint 1 of 3");
    screen.press("n");
    screen.shows("The next one opens when this one is passed");
    screen.press("c");
    screen.shows("E-NOT-SUBMITTED");
    screen.press("t");
    screen.shows("1 entry never submitted");
    // Saved by an editor elsewhere.
    screen.press("i");
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a save");
    screen.shows("first_nop: passed");
    screen.shows("1 of ");
    screen.child.kill().expect("a signal");
    screen.child.wait().expect("an end");

    let second = workspace.exercises()[1].name.clone();
    let mut screen = Screen::new(&workspace, &["learn"]);
    screen.shows(&format!("Day 1: {second}"));
    screen.shows("1 of ");
    screen.press("s");
    screen.shows("Give it up and see the solution?");
    screen.press("x");
    screen.shows("Nothing was changed.");
    screen.press("sy");
    screen.shows("1 given up");
    screen.press("q");
    let mut status = None;
    let ended = holds_within(testkit::PATIENCE, || {
        status = screen.child.try_wait().expect("a child");
        status.is_some()
    });
    assert!(ended && status.is_some_and(|status| status.success()), "{status:?}");
    // The cursor and the old screen are restored.
    screen.shows("\x1b[?25h\x1b[?1049l");
}

#[test]
fn any_exercise_can_be_chosen_and_ctrl_z_suspends() {
    let workspace = Workspace::new("exercise_choose");
    let mut screen = Screen::new(&workspace, &["learn"]);
    screen.shows("Your program: workbook/src/bin/first_nop.rs");
    screen.press("?");
    screen.shows("put the starter back; your program is kept");
    screen.press("l12");
    screen.shows(">   12 rearm");
    screen.press("\r");
    screen.shows("Day 3: rearm");
    // Three down from the present one.
    screen.press("l\x1b[B\x1b[B\x1b[B\r");
    screen.shows("Day 3: last_orders");

    screen.press("\x1a");
    let pid = Pid::from_raw(screen.child.id() as i32);
    let stopped = || waitpid(pid, Some(WaitPidFlag::WUNTRACED | WaitPidFlag::WNOHANG));
    testkit::wait_until("the stop", || stopped() == Ok(WaitStatus::Stopped(pid, Signal::SIGTSTP)));
    screen.shows("\x1b[?25h\x1b[?1049l");
    screen.press("");
    kill(pid, Signal::SIGCONT).expect("a signal");
    screen.shows("\x1b[?1049h");
    screen.shows("Day 3: last_orders");
    screen.press("q");
    testkit::wait_until("the end", || screen.child.try_wait().expect("a child").is_some());
}

#[test]
fn the_libraries_are_compiled_while_the_task_is_read() {
    let workspace = Workspace::new("exercise_first");
    // A tool in an empty target folder, and a slow Cargo.
    let target = workspace.0.join("target/debug");
    fs::create_dir_all(&target).expect("a folder");
    let tool = target.join("xtask");
    if fs::hard_link(env!("CARGO_BIN_EXE_grader"), &tool).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_grader"), &tool).expect("a copy");
    }
    let cargo = workspace.0.join("cargo");
    let script = "#!/bin/sh\ntouch \"$0.called\"\nuntil [ -e \"$0.go\" ]; do sleep 0.1; done\n\
                  echo 'error: no compiler' >&2\nexit 1\n";
    fs::write(&cargo, script).expect("a script");
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).expect("ours");

    let mut command = Command::new(&tool);
    command.arg("learn").env("CARGO_MANIFEST_DIR", workspace.0.join("xtask")).env("CARGO", &cargo);
    let mut screen = Screen::of(command);
    screen.shows("The libraries are being compiled, this once");
    testkit::wait_until("the compilation", || workspace.0.join("cargo.called").exists());
    screen.press("h");
    screen.shows("Hint 1 of 3");
    screen.press("c");
    screen.shows("waiting for the libraries, then compiling first_nop");
    // The page that was opened meanwhile stays.
    screen.press("?");
    screen.shows("put the starter back; your program is kept");
    screen.press("n");
    screen.shows("The next one opens when this one is passed");
    screen.shows("waiting for the libraries, then compiling first_nop");
    fs::write(workspace.0.join("cargo.go"), "").expect("a file");
    screen.shows("error: no compiler");
    screen.shows("first_nop: does not compile");
    screen.press("q");

    let mut command = Command::new(tool);
    command.args(["exercise", "check", "first_nop"]).env("CARGO", &cargo);
    command.env("CARGO_MANIFEST_DIR", workspace.0.join("xtask"));
    Screen::of(command).shows("compiling first_nop and, this once, the libraries: about a minute");
}

#[test]
fn without_a_terminal_there_are_only_lines() {
    let workspace = Workspace::new("exercise_plain");
    let mut command = workspace.xtask(&["learn"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (keys, mut typed) = nix::unistd::pipe().map(|(r, w)| (r, File::from(w))).expect("a pipe");
    typed.write_all(b"h\ns\nn\nl\n3\nq\n").expect("a pipe");
    command.stdin(Stdio::from(keys));
    let output = testkit::output_within(command, LONG).expect("an end");
    let lines = text(&output.stdout);
    assert!(output.status.success(), "{lines}{}", text(&output.stderr));
    assert!(!lines.contains('\x1b'), "no control sequences: {lines:?}");
    for words in
        ["Hint 1 of 3", "> you are here", "0 of ", "Give it up", "Day 1: one_enter", "e edit"]
    {
        // Each text once.
        assert_eq!(lines.matches(words).count(), 1, "{words}: {lines}");
    }
    assert_eq!(lines.matches("An entry there").count(), 2, "the brief, and in the list: {lines}");
    assert!(lines.lines().all(|line| line.chars().count() <= 80), "{lines}");
    drop(typed);
}

#[test]
fn one_bad_submission_does_not_stop_the_class() {
    if !io_uring_or_skip("one_bad_submission_does_not_stop_the_class") {
        return;
    }
    let workspace = Workspace::new("exercise_class");
    let class = workspace.0.join("class");
    let hand_in = |student: &str, text: &str| {
        let bins = class.join(student).join("workbook/src/bin");
        fs::create_dir_all(&bins).expect("a folder");
        fs::write(bins.join("first_nop.rs"), text).expect("a file");
        bins
    };
    let first = workspace.exercise("first_nop");
    let solution = fs::read_to_string(first.solution()).expect("the solution");
    let witness = class.join("ada/witness");
    hand_in("ada", &solution);
    fs::write(&witness, "still here").expect("a file");
    hand_in("bob", "fn main() { oops }");
    // More processes than it may have.
    let eve = format!(
        "fn main() {{ std::fs::remove_file({witness:?}).ok(); \
         for _ in 0..9 {{ unsafe {{ libc::fork() }}; }} \
         std::thread::sleep(std::time::Duration::from_secs(600)); }}"
    );
    hand_in("eve", &eve);
    let gus = hand_in("gus", "");
    fs::remove_file(gus.join("first_nop.rs")).expect("ours to remove");
    symlink("/etc/passwd", gus.join("first_nop.rs")).expect("a link");
    let ivy = hand_in("ivy", &solution);
    let built = workspace.0.join("built");
    let script = format!("fn main() {{ std::fs::write({built:?}, \"\").unwrap(); }}");
    fs::write(ivy.join("../../build.rs"), script).expect("a build script");

    let (csv, details) = (workspace.0.join("class.csv"), workspace.0.join("details"));
    let paths = [&class, &csv, &details].map(|path| path.display().to_string());
    let [folder, to_csv, to_details] = paths.each_ref().map(String::as_str);
    let arguments = ["class", folder, "--only", "first_nop", "--csv", to_csv];
    let output = workspace.run(&[&arguments[..], &["--details", to_details]].concat());
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    let csv = fs::read_to_string(csv).expect("the values").replace('"', "");
    assert!(csv.contains("ada,1,first_nop,passed,"), "{csv}{table}");
    assert!(csv.contains("bob,1,first_nop,failed,E-COMPILE"), "{csv}{table}");
    assert!(csv.contains("eve,1,first_nop,failed,E-"), "{csv}{table}");
    assert!(csv.contains("gus,1,first_nop,not read,,it is a symbolic link"), "{csv}{table}");
    assert!(csv.contains("ivy,1,first_nop,passed,"), "{csv}{table}");
    for (student, words) in [
        ("ada", "ada\n\nfirst_nop: passed\n"),
        ("bob", "cannot find value `oops`"),
        ("eve", "first_nop: not yet (E-"),
        ("gus", "first_nop: not read: it is a symbolic link"),
    ] {
        let text = fs::read_to_string(details.join(format!("{student}.txt"))).expect("a text");
        assert!(text.contains(words), "{text}");
    }
    assert!(!built.exists(), "a build script ran");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    if table.contains("behind walls") {
        assert!(witness.exists(), "a program could write outside of its folder");
    }
}

#[test]
fn a_class_whose_results_cannot_be_kept_is_not_judged() {
    let workspace = Workspace::new("exercise_class_unkept");
    let class = workspace.0.join("class");
    fs::create_dir_all(class.join("ada")).expect("a folder");
    fs::write(class.join("ada/first_nop.rs"), "fn main() {}").expect("a file");
    let folder = class.display().to_string();
    let there = workspace.0.join("Cargo.toml").display().to_string();
    for option in ["--csv", "--details"] {
        let output = workspace.run(&["class", &folder, option, &format!("{there}/in")]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("Not a directory"), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}
