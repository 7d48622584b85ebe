//! A copy of the workspace for the tests of the commands, so that none touches a real workbook.

// Not every test needs all of it.
#![allow(dead_code)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use grader::exercise::exercises::{self, Exercise};
use grader::exercise::folders;

/// A compilation of everything that a learner's program needs may be among it.
pub const LONG: Duration = Duration::from_secs(600);

/// A workspace with the exercises and what they need, and nothing else.
pub struct Workspace(pub PathBuf);

impl Workspace {
    /// The name is the test's own.
    pub fn new(name: &str) -> Workspace {
        // The same path each time, so that what is compiled there is compiled once.
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("xtask")).expect("a folder");
        let real = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let manifest = fs::read_to_string(real.join("Cargo.toml")).expect("the manifest");
        let mut manifest: toml_edit::DocumentMut = manifest.parse().expect("TOML");
        let all = manifest["workspace"].as_table_mut().expect("a workspace");
        all.remove("default-members");
        all["members"] = toml_edit::Array::from_iter(["common"]).into();
        let manifest = manifest.to_string();
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

    /// The book's exercises.
    pub fn exercises(&self) -> Vec<Exercise> {
        folders::load(&self.0).expect("the exercises")
    }

    /// One of them.
    pub fn exercise(&self, name: &str) -> Exercise {
        exercises::find(&self.exercises(), name).expect("an exercise").clone()
    }

    /// The learner's program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.0.join(format!("workbook/src/bin/{name}.rs"))
    }

    /// The tool, made to believe that it belongs to this workspace.
    pub fn xtask(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grader"));
        command.args(arguments).env("CARGO_MANIFEST_DIR", self.0.join("xtask"));
        command
    }

    /// Runs the tool to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        let mut command = self.xtask(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        testkit::output_within(command, LONG).expect("an end")
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Copies a folder.
pub fn copy(from: &Path, to: &Path) {
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

/// What a program printed.
pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
