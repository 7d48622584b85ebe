//! The commands as a learner and a teacher use them, on a copy of the workspace: so that no
//! test ever touches a real workbook.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::drive::{self, holds_within, io_uring_or_skip};
use nix::pty::{Winsize, openpty};
use xtask::exercise::exercises::{self, Exercise};
use xtask::exercise::workbook::Workbook;

/// A compilation of everything that a learner's program needs may be among it.
const LONG: Duration = Duration::from_secs(600);

/// A workspace with the exercises and what they need, and nothing else.
struct Workspace(PathBuf);

impl Workspace {
    fn new(name: &str) -> Workspace {
        // The same path each time, so that what is compiled there is compiled once.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("xtask")).expect("a folder");
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let manifest = fs::read_to_string(real.join("Cargo.toml")).expect("the manifest");
        let manifest: String = manifest
            .lines()
            .filter(|line| !line.starts_with("default-members"))
            .map(|line| match line.starts_with("members") {
                true => "members = [\"common\"]\n".to_string(),
                false => format!("{line}\n"),
            })
            .collect();
        fs::write(folder.join("Cargo.toml"), manifest).expect("a file");
        for file in ["Cargo.lock", ".gitignore"] {
            fs::copy(real.join(file), folder.join(file)).expect("a copy");
        }
        copy(&real.join("common"), &folder.join("common"));
        for day in ["day01", "day02", "day03", "day04"] {
            copy(&real.join(day).join("exercises"), &folder.join(day).join("exercises"));
        }
        Workspace(folder)
    }

    fn exercises(&self) -> Vec<Exercise> {
        exercises::load(&self.0).expect("the exercises")
    }

    fn exercise(&self, name: &str) -> Exercise {
        exercises::find(&self.exercises(), name).expect("an exercise").clone()
    }

    fn program(&self, name: &str) -> PathBuf {
        self.0.join(format!("workbook/src/bin/{name}.rs"))
    }

    /// The tool, made to believe that it belongs to this workspace.
    fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command.args(arguments).env("CARGO_MANIFEST_DIR", self.0.join("xtask"));
        command
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.xtask(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        drive::output_within(command, LONG).expect("an end")
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a copy");
        }
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

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
    // Nothing is proved as long as an exercise cannot be.
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
    let backup = workbook.reset(&exercise).expect("a reset");
    assert_eq!(fs::read_to_string(backup).expect("a backup"), "mine");
    let starter = fs::read_to_string(exercise.starter()).expect("the starter");
    assert_eq!(fs::read_to_string(workspace.program("first_nop")).expect("it"), starter);
    workbook.undo(&exercise).expect("an undo");
    assert_eq!(fs::read_to_string(workspace.program("first_nop")).expect("it"), "mine");
    // And back again: an undo loses nothing either.
    workbook.undo(&exercise).expect("an undo");
    assert_eq!(fs::read_to_string(workspace.program("first_nop")).expect("it"), starter);
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
        eprintln!("SKIPPED a_pull_never_touches_the_workbook: there is no git");
        return;
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
        let output = workspace.run(&["exercise", "check", "--json", "first_nop"]);
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
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a copy");
    let (status, object) = check();
    assert_eq!((status, object["verdict"].as_str()), (Some(0), Some("passed")), "{object}");
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
        drive::block_io_uring(&mut command, errno);
        let output = drive::output_within(command, LONG).expect("an end");
        let line = text(&output.stdout);
        assert!(line.contains(r#""verdict":"not observed""#), "{line}{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
}

/// The tool on a terminal of its own, 80 columns by 24 rows.
struct Screen {
    child: Child,
    keys: File,
    seen: Arc<Mutex<String>>,
}

impl Screen {
    fn new(workspace: &Workspace, arguments: &[&str]) -> Screen {
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        let terminal = openpty(&size, None).expect("a terminal");
        let end = |fd: &OwnedFd| Stdio::from(fd.try_clone().expect("a descriptor"));
        let mut command = workspace.xtask(arguments);
        command.env("TERM", "xterm").env("NO_COLOR", "1").env("EDITOR", "true");
        command.stdin(end(&terminal.slave)).stdout(end(&terminal.slave));
        let child = command.stderr(end(&terminal.slave)).spawn().expect("the tool");
        drop((command, terminal.slave));
        let seen = Arc::new(Mutex::new(String::new()));
        let theirs = Arc::clone(&seen);
        let mut output = File::from(terminal.master.try_clone().expect("a descriptor"));
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // It ends with an error when nobody holds the other side any more.
            while let Ok(count @ 1..) = output.read(&mut bytes) {
                theirs.lock().expect("a lock").push_str(&text(&bytes[..count]));
            }
        });
        Screen { child, keys: File::from(terminal.master), seen }
    }

    /// What was drawn since the last key.
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
    let ended = holds_within(drive::PATIENCE, || {
        status = screen.child.try_wait().expect("a child");
        status.is_some()
    });
    assert!(ended && status.is_some_and(|status| status.success()), "{status:?}");
    // Given back: the cursor, and the screen as it was.
    screen.shows("\x1b[?25h\x1b[?1049l");
}

#[test]
fn without_a_terminal_there_are_only_lines() {
    let workspace = Workspace::new("exercise_plain");
    let mut command = workspace.xtask(&["learn"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let (keys, mut typed) = nix::unistd::pipe().map(|(r, w)| (r, File::from(w))).expect("a pipe");
    typed.write_all(b"h\nl\nq\n").expect("a pipe");
    command.stdin(Stdio::from(keys));
    let output = drive::output_within(command, LONG).expect("an end");
    let lines = text(&output.stdout);
    assert!(output.status.success(), "{lines}{}", text(&output.stderr));
    assert!(!lines.contains('\x1b'), "no control sequences: {lines:?}");
    for words in ["An entry there", "Hint 1 of 3", "> you are here", "0 of "] {
        assert!(lines.contains(words), "{words}: {lines}");
    }
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
    assert!(table.contains("Each program ran with"), "{table}");
    if table.contains("all files read-only") {
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
