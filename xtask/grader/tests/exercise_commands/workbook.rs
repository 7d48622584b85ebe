//! The learner's folder: nothing in it is lost, and its programs compile.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use grader::exercise::exercises::Exercise;
use grader::exercise::workbook::Workbook;
use nix::sys::signal::{SigHandler, Signal};

use super::workspace::{LONG, Workspace, text};

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
