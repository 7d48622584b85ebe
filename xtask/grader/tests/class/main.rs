//! `cargo xtask class` and hostile programs: what they can reach and what they can harm.
//!
//! A program reports what it reached by a panic, which the student's text quotes.

mod ends;
mod files;
mod walls;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// The libraries may have to be compiled.
const LONG: Duration = Duration::from_secs(600);

/// A class: its submissions, and what is written about them.
struct Class {
    folder: PathBuf,
}

impl Class {
    /// The name is the test's own.
    fn new(name: &str) -> Class {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder");
        Class { folder }
    }

    fn hand_in(&self, student: &str, text: &str) {
        let folder = self.folder.join("in").join(student);
        fs::create_dir_all(&folder).expect("a folder");
        fs::write(folder.join("first_nop.rs"), text).expect("a program");
    }

    /// The command, with only Cargo's variables and a secret in its environment.
    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grader"));
        command.arg("class").arg(self.folder.join("in")).args(["--only", "first_nop"]);
        command.arg("--details").arg(self.folder.join("out"));
        command.env("SECRET", "the secret").env("CARGO_MANIFEST_DIR", env!("CARGO_MANIFEST_DIR"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The text for a student.
    fn text(&self, student: &str) -> String {
        fs::read_to_string(self.folder.join(format!("out/{student}.txt"))).expect("a text")
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn solution() -> String {
    let days = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(days.join("day01/exercises/first_nop/solution.rs")).expect("the solution")
}

/// What it printed.
fn run(command: Command) -> String {
    let output = testkit::output_within(command, LONG).expect("an end");
    let errors = String::from_utf8_lossy(&output.stderr);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{errors}");
    text
}

/// Whether programs were behind walls. They must be, unless bubblewrap does not work here; then it
/// prints that the `test` is skipped.
fn walls_or_skip(test: &str, table: &str) -> bool {
    let mut bwrap = Command::new("bwrap");
    bwrap.args([
        "--unshare-pid",
        "--unshare-net",
        "--ro-bind",
        "/",
        "/",
        "--proc",
        "/proc",
        "true",
    ]);
    let works = bwrap.output().is_ok_and(|output| output.status.success());
    assert_eq!(table.contains("behind walls"), works, "{table}");
    assert_eq!(table.contains("NOT SHUT OFF: there are no walls here"), !works, "{table}");
    if !works {
        testkit::skipped(test, "bubblewrap builds no walls here");
    }
    works
}
