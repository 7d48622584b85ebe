//! `cargo xtask class`: the workbooks of a class, each program checked by itself, and who
//! passed what.
//!
//! [`find`] looks for the programs, [`submission`] takes their texts and compiles them;
//! [`isolate`] shuts a run in; [`judge`] is the process in which one program is run and judged;
//! [`table`] is what comes of all of them, and [`details`] what each student gets back.

pub mod details;
pub mod find;
pub mod isolate;
pub mod judge;
pub mod submission;
pub mod table;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use common::text::{WIDTH, wrap};

use crate::exercise::compile::Built;
use crate::exercise::exercises::{self, Exercise};
use crate::exercise::ids;
use crate::exercise::verdict::{Paint, Verdict};
use crate::output::{say, writable};
use crate::programs::workspace;

use details::Details;
use find::Class;
use judge::Judge;
use submission::{Found, Submission};
use table::{Mark, Row, Table};

/// Check the workbooks of a class: who passed what, and the commonest mistakes
///
/// DIR holds a folder for each student: their workbook/, the repository around it, or their
/// programs alone. Only files that are called like an exercise are read. Each program is
/// compiled offline and run by itself, with limits on time, memory, processes and files, and,
/// where the kernel allows it, without a network and with all files read-only.
#[derive(Args, Debug)]
pub struct Options {
    /// The folder of submissions
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Write the table as comma-separated values too
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Write a text for each student: what came of every program, and why
    #[arg(long, value_name = "DIR")]
    details: Option<PathBuf>,

    /// Only these exercises
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,
}

/// Runs the command. It succeeds when the table could be made, whatever is in it.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exercises::failed("cargo xtask class", error),
    }
}

fn run(options: &Options) -> Result<()> {
    let workspace = workspace();
    let all = exercises::load(&workspace)?;
    let picked = exercises::pick(&all, &options.only)?;
    let Class { submissions, remarks } = find::find(&options.folder, &all)?;
    let details = options.details.as_deref().map(|folder| Details::open(folder, &submissions));
    let details = details.transpose()?;
    if let Some(path) = &options.csv {
        writable(path)?;
    }
    let mut judge = Judge::new(&workspace)?;
    let mut table = Table::new(&picked);
    for (nth, submission) in submissions.iter().enumerate() {
        let place = format!("{} of {}: {}", nth + 1, submissions.len(), submission.student());
        table.add(one(submission, &picked, &workspace, &mut judge, &place));
    }
    progress("");
    let mut kept = Ok(());
    if let Some(details) = &details {
        kept = details.write(&table.details(&picked));
    }
    if let Some(path) = &options.csv {
        let written = fs::write(path, table.csv());
        kept = kept.and(written.with_context(|| format!("writing {}", path.display())));
    }
    let mut page = format!("{}\n{}", table.text(), judge.words());
    if !remarks.is_empty() {
        page.push_str("\nThe folders\n");
    }
    for remark in remarks {
        page.push_str(&(wrap(&remark, WIDTH, 2) + "\n"));
    }
    // The table comes in any case: an error does not take the work of minutes with it.
    say(page.trim_end())?;
    kept
}

/// A line that the next one replaces, for whoever waits; logs are spared.
fn progress(text: &str) {
    use std::io::IsTerminal;
    if io::stderr().is_terminal() {
        let _ = write!(io::stderr(), "\r\x1b[K{text}");
    }
}

/// One student's programs. Whatever is wrong with them ends up in the row.
fn one(
    submission: &Submission,
    picked: &[Exercise],
    workspace: &Path,
    judge: &mut Judge,
    place: &str,
) -> Row {
    let mut row = Row::new(submission.student());
    let mut programs = Vec::new();
    for exercise in picked {
        match submission.program(exercise) {
            Found::Program(text) => programs.push((exercise, text)),
            Found::Missing => row.set(exercise, Mark::Missing),
            Found::Untouched => row.set(exercise, Mark::Untouched),
            Found::Refused(why) => row.set(exercise, Mark::Refused(why)),
        }
    }
    progress(&format!("{place}: compiling"));
    let built = match submission::compile(&programs, workspace) {
        Ok(built) => built,
        Err(error) => Built { cargo: format!("{error:#}"), ..Built::default() },
    };
    for (exercise, _) in &programs {
        progress(&format!("{place}: {}", exercise.name));
        let (mark, verdict) = match built.program(&exercise.name) {
            Ok(program) => judge.judge(exercise, &program),
            Err(words) => (
                Mark::Failed(ids::COMPILE.name.to_string()),
                Verdict::NotCompiled(words).text(exercise, Paint::default()),
            ),
        };
        row.set(exercise, mark);
        row.explain(exercise, &verdict);
    }
    row
}
