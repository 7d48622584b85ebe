//! `cargo xtask class`: checks each program in the workbooks of a class, and shows who passed what.
//!
//! [`find`] looks for the programs, and [`submission`] reads their texts. [`judge`] is the process
//! in which one program is compiled, run and judged, with the [`libraries`] of a workbook, behind
//! the walls of [`isolate`] and within the [`limits`]. A student's verdicts are a [`row`].
//! [`table`], [`csv`] and [`junit`] show all rows, and [`details`] writes a text for each student.

pub mod csv;
pub mod details;
pub mod find;
pub mod isolate;
pub mod judge;
pub mod junit;
pub mod libraries;
pub mod limits;
pub mod row;
pub mod submission;
pub mod table;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use anyhow::{Context, Result};
use clap::Args;
use common::text::{WIDTH, wrap};

use crate::exercise::exercises::{self, Exercise};
use crate::exercise::folders::Folders;
use toolbox::output::{progress, say, writable};
use toolbox::programs::workspace;

use details::Details;
use find::Class;
use judge::Judge;
use row::{Cell, Mark, Row};
use submission::{Found, Submission};

/// How many students' programs are judged at the same time, if walls separate them.
const AT_A_TIME: usize = 2;

/// Check the workbooks of a class: who passed what, who does what next, the commonest mistakes
///
/// DIR has a folder for each student: their workbook/, the repository around it, or only their
/// programs. Only files that are named like an exercise are read. Each program is compiled offline
/// and run separately, two at a time, behind walls that bubblewrap builds: no files but the
/// system's programs and an empty folder, no network but loopback, no other processes, no terminal,
/// no environment, and limits on time, memory, processes and files. If this machine cannot isolate
/// something, a warning says so before the first program runs, and below the table. A failure that
/// a busy machine can cause is judged again, alone.
#[derive(Args, Debug)]
pub struct Options {
    /// The folder of submissions
    #[arg(value_name = "DIR")]
    folder: PathBuf,

    /// Also write the table as comma-separated values
    #[arg(long, value_name = "FILE")]
    csv: Option<PathBuf>,

    /// Also write the table as JUnit XML, for forges and CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,

    /// Write a text for each student: the verdict on every program, and why
    #[arg(long, value_name = "DIR")]
    details: Option<PathBuf>,

    /// Only these exercises
    #[arg(long, value_name = "NAME,…", value_delimiter = ',')]
    only: Vec<String>,

    #[command(flatten)]
    folders: Folders,
}

/// Runs the command. It succeeds if the table could be made, whatever the verdicts.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => exercises::failed("cargo xtask class", error),
    }
}

fn run(options: &Options) -> Result<()> {
    let workspace = workspace();
    let all = options.folders.load(&workspace)?;
    let picked = exercises::pick(&all, &options.only)?;
    let Class { submissions, remarks } = find::find(&options.folder, &all)?;
    let details = options.details.as_deref().map(|folder| Details::open(folder, &submissions));
    let details = details.transpose()?;
    for path in options.csv.iter().chain(&options.junit) {
        writable(path)?;
    }
    progress("compiling the libraries");
    let first = picked.first().context("there are no exercises")?;
    let judge = Judge::new(&workspace, first)?;
    progress("");
    if !judge.has_walls() {
        let _ = write!(io::stderr(), "{}", judge.words());
    }
    let mut rows = rows(&submissions, &picked, &judge);
    second_tries(&mut rows, &submissions, &picked, |exercise, text| judge.judge(exercise, text));
    progress("");
    let mut kept = Ok(());
    if let Some(details) = &details {
        let texts: Vec<String> = rows.iter().map(|row| row.details(&picked)).collect();
        kept = details.write(&texts);
    }
    let csv = options.csv.as_ref().map(|path| (path, csv::csv(&picked, &rows)));
    let junit = options.junit.as_ref().map(|path| (path, junit::junit(&picked, &rows)));
    for (path, text) in csv.into_iter().chain(junit) {
        let written = fs::write(path, text);
        kept = kept.and(written.with_context(|| format!("writing {}", path.display())));
    }
    let mut page = format!("{}\n{}", table::text(&picked, &rows), judge.words());
    if !remarks.is_empty() {
        page.push_str("\nThe folders\n");
    }
    for remark in remarks {
        page.push_str(&(wrap(&remark, WIDTH, 2) + "\n"));
    }
    // The table is printed in any case, so that an error does not lose the work of minutes.
    say(page.trim_end())?;
    kept
}

/// The students' rows, in the order of the submissions.
fn rows(submissions: &[Submission], picked: &[Exercise], judge: &Judge) -> Vec<Row> {
    let next = AtomicUsize::new(0);
    let rows = Mutex::new(Vec::new());
    let work = || {
        loop {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            let Some(submission) = submissions.get(nth) else { return };
            let place = format!("{} of {}: {}", nth + 1, submissions.len(), submission.student());
            let row = one(submission, picked, judge, &place);
            rows.lock().unwrap_or_else(PoisonError::into_inner).push((nth, row));
        }
    };
    let workers = if judge.has_walls() { AT_A_TIME } else { 1 };
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(work);
        }
    });
    let mut rows = rows.into_inner().unwrap_or_else(PoisonError::into_inner);
    rows.sort_by_key(|(nth, _)| *nth);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// Judges one student's programs. All faults are in the row.
fn one(submission: &Submission, picked: &[Exercise], judge: &Judge, place: &str) -> Row {
    let mut row = Row::new(submission.student());
    for exercise in picked {
        let cell = match submission.program(exercise) {
            Found::Missing => Cell::unjudged(Mark::Missing, ""),
            Found::Untouched => Cell::unjudged(Mark::Untouched, ""),
            Found::Refused(why) => Cell::unjudged(Mark::Refused, &why),
            Found::Program(text) => {
                progress(&format!("{place}: {}", exercise.name));
                judge.judge(exercise, &text)
            }
        };
        row.set(&exercise.name, cell);
    }
    row
}

/// Judges programs again whose failure a busy machine can explain: one after the other, alone. The
/// second verdict counts.
fn second_tries(
    rows: &mut [Row],
    submissions: &[Submission],
    picked: &[Exercise],
    judge: impl Fn(&Exercise, &str) -> Cell,
) {
    for (row, submission) in rows.iter_mut().zip(submissions) {
        for exercise in picked {
            let id = row.mark(&exercise.name).id().map(str::to_string);
            let Some(id) = id.filter(|id| judge::can_be_slowness(id)) else { continue };
            let Found::Program(text) = submission.program(exercise) else { continue };
            progress(&format!("a second try: {}: {}", row.student, exercise.name));
            let mut cell = judge(exercise, &text);
            cell.first_try = Some(id);
            row.set(&exercise.name, cell);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exercise::folders;

    #[test]
    fn what_time_can_explain_is_judged_again() {
        let all = folders::load(&workspace()).unwrap();
        let picked = &all[..3];
        // Any text is right.
        let programs = picked.iter().map(|it| (it.name.clone(), it.folder.join("solution.rs")));
        let submissions = [Submission::new("ada", programs.collect())];
        let failed = |id: &str| Cell::unjudged(Mark::Failed(id.into()), "");
        let mut row = Row::new("ada");
        for (exercise, id) in picked.iter().zip(["E-SPIN", "E-TAG", "E-HANG-CALL"]) {
            row.set(&exercise.name, failed(id));
        }
        let mut rows = [row];
        second_tries(&mut rows, &submissions, picked, |exercise, _| match exercise.name.as_str() {
            "first_nop" => Cell::unjudged(Mark::Passed, ""),
            _ => failed("E-HANG-CALL"),
        });
        let cell = |nth: usize| rows[0].cell(&picked[nth].name).unwrap().clone();
        let again = |cell: Cell, id: &str| Cell { first_try: Some(id.into()), ..cell };
        assert_eq!(cell(0), again(Cell::unjudged(Mark::Passed, ""), "E-SPIN"));
        assert_eq!(cell(1), failed("E-TAG"));
        assert_eq!(cell(2), again(failed("E-HANG-CALL"), "E-HANG-CALL"));
    }
}
