//! Where a learner begins, which exercises are skipped, and resets, on a separate workbook with the
//! real exercises. Nothing is compiled here.

mod beginning;
mod carried;
mod resets;
mod skipping_test;

use std::fs;
use std::path::{Path, PathBuf};

use clap::Parser;
use grader::exercise::exercises::{self, Exercise};
use grader::exercise::failure::{Failure, Passed};
use grader::exercise::folders;
use grader::exercise::ids;
use grader::exercise::paint::Paint;
use grader::exercise::progress::Progress;
use grader::exercise::verdict::Verdict;
use grader::exercise::workbook::Workbook;
use grader::learn::placement::{Begin, Start};
use grader::learn::session::Session;

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
