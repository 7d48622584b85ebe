//! The command and its parts.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use common::text::{WIDTH, wrap};

use super::check;
use super::exercises::{self, Exercise};
use super::folders::{Folders, heading};
use super::markdown;
use super::new;
use super::paint::Paint;
use super::progress::Progress;
use super::record::Record;
use super::variants::{self, Variant};
use super::verdict::Verdict;
use super::verify;
use super::workbook::Workbook;
use toolbox::output::say;
use toolbox::programs::workspace;

/// The exercises, checked by what the kernel saw
#[derive(Args, Debug)]
pub struct Options {
    #[command(subcommand)]
    task: Task,

    #[command(flatten)]
    folders: Folders,
}

#[derive(Subcommand, Debug)]
enum Task {
    /// All exercises in order
    List {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Compile and check programs in workbook/; a missing one gets its starter first
    Check {
        /// The exercises
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
        /// With the rings of the last run, as the book's pages play them
        #[arg(long, requires = "json")]
        rings: bool,
        /// Check this compiled program, and keep no progress
        #[arg(long, value_name = "FILE", hide = true)]
        program: Option<PathBuf>,
    },
    /// The brief and a hint: the first, or the one with this number
    Hint {
        /// The exercise
        name: String,
        /// Which hint, from 1 (a question) to 3 (nearly the code)
        #[arg(default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=3))]
        number: u32,
    },
    /// Put the starter back; your program is kept in workbook/backup
    ///
    /// With --all, reset everything: your programs and your progress are moved to workbook/backup,
    /// and each exercise begins with its starter.
    #[command(group(clap::ArgGroup::new("which").required(true)))]
    Reset {
        /// The exercise
        #[arg(group = "which")]
        name: Option<String>,
        /// All exercises, and the progress
        #[arg(long, group = "which")]
        all: bool,
        /// Undo the last reset
        #[arg(long)]
        undo: bool,
    },
    /// Print the solution
    Solution {
        /// The exercise
        name: String,
        /// Give the exercise up, unless it is passed: `learn` shows the solution then, too
        #[arg(long)]
        give_up: bool,
    },
    /// List an exercise's wrong and other right answers, or print one with its edits marked
    Show {
        /// The exercise
        name: String,
        /// The answer
        variant: Option<String>,
    },
    /// Make the folder of an exercise that you write
    ///
    /// The folder is made in the day's folder of this repository, or with --exercises in DIR.
    New(new::Options),
    /// Prove that starters fail as stated, solutions pass, and wrong answers fail as stated
    Verify(verify::Options),
}

/// Runs the command.
pub fn main(options: &Options) -> ExitCode {
    match run(&options.task, &options.folders) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => exercises::failed("cargo xtask exercise", error),
    }
}

fn run(task: &Task, folders: &Folders) -> Result<bool> {
    let workspace = workspace();
    if let Task::New(options) = task {
        return new::main(options, folders, &workspace);
    }
    let all = folders.load(&workspace)?;
    let workbook = Workbook::of(&workspace);
    match task {
        Task::List { json } => list(&all, &workbook, *json),
        Task::Check { names, json, rings, program } => {
            let picked = exercises::pick(&all, names)?;
            check(&picked, &workbook, *json, *rings, program.as_deref())
        }
        Task::Hint { name, number } => hint(exercises::find(&all, name)?, *number),
        Task::Reset { name: Some(name), undo, .. } => {
            reset(exercises::find(&all, name)?, &workbook, *undo, folders)
        }
        Task::Reset { undo: false, .. } => reset_all(&all, &workbook, folders),
        Task::Reset { undo: true, .. } => undo_all(&all, &workbook),
        Task::Solution { name, give_up } => {
            solution(exercises::find(&all, name)?, &workbook, *give_up)
        }
        Task::Show { name, variant } => show(exercises::find(&all, name)?, variant.as_deref()),
        Task::Verify(options) => verify::main(options, &all, folders, &workspace),
        // Handled before the exercises were read.
        Task::New(_) => Ok(true),
    }
}

fn list(all: &[Exercise], workbook: &Workbook, json: bool) -> Result<bool> {
    let mut progress = progress(workbook)?;
    progress.rename(all);
    let mut day = 0;
    for exercise in all {
        let about = &exercise.about;
        let best = progress.best.get(&exercise.name).copied();
        let par = about.par.as_ref().zip(best);
        let standing = par.map(|(par, best)| par.standing(best));
        let reached = par.is_some_and(|(par, best)| par.is_reached(best));
        let met = par.is_some_and(|(par, best)| par.is_met(best));
        let state = match progress.mark(&exercise.name) {
            '+' => "passed",
            'x' => "given up",
            '-' => "skipped",
            _ if workbook.program(&exercise.name).exists() => "begun",
            _ => "",
        };
        if json {
            let object = serde_json::json!({
                "exercise": exercise.name,
                "day": exercise.day,
                "title": about.title,
                "minutes": about.minutes,
                "book": about.book,
                "state": state,
                "program": workbook.program(&exercise.name),
                "par": about.par,
                "best": best,
                "standing": standing,
            });
            say(&object.to_string())?;
            continue;
        }
        if exercise.day != day {
            day = exercise.day;
            say(&heading(day))?;
        }
        let minutes = about.minutes;
        let passed = state == "passed";
        let state = if passed && reached { "at par" } else { state };
        let line = format!("  {:<18}{:<44}{minutes:>3} min  {state}", exercise.name, about.title);
        say(line.trim_end())?;
        if let Some(standing) = standing.filter(|_| passed && !met) {
            say(&wrap(&format!("    {standing}"), WIDTH, 4))?;
        }
    }
    Ok(true)
}

fn check(
    picked: &[Exercise],
    workbook: &Workbook,
    json: bool,
    rings: bool,
    program: Option<&Path>,
) -> Result<bool> {
    let mut passed = true;
    for exercise in picked {
        if program.is_none() && workbook.begin(exercise)? {
            let path = workbook.program(&exercise.name);
            let _ = writeln!(io::stderr(), "the starter is in {}", path.display());
        }
        let (verdict, record) = match program {
            Some(program) => check::with_record(exercise, program),
            None => checked(exercise, workbook)?,
        };
        passed &= verdict.passed();
        let said = match json {
            true => {
                let mut object = verdict.json(exercise);
                if let Some(record) = record.filter(|_| rings) {
                    object["trace"] = record.rings_for_a_page(&exercise.name);
                }
                say(&object.to_string())
            }
            false => say(&verdict.text(exercise, Paint::for_stdout())),
        };
        // After the verdict, so that the learner sees it even if this cannot be written.
        if verdict.passed() && program.is_none() {
            progress(workbook)?.change(|progress| progress.pass(&exercise.name, verdict.cost()))?;
        }
        said?;
    }
    Ok(passed)
}

/// Reads the progress, and prints a notice if it was unreadable.
fn progress(workbook: &Workbook) -> Result<Progress> {
    let mut progress = Progress::load(workbook.folder())?;
    if let Some(words) = progress.notice() {
        let _ = writeln!(io::stderr(), "{}", wrap(&words, WIDTH, 0));
    }
    Ok(progress)
}

/// Compiles and checks the learner's program. Also returns the record of its last run.
fn checked(exercise: &Exercise, workbook: &Workbook) -> Result<(Verdict, Option<Record>)> {
    // Only on a terminal, because a script needs no progress line.
    if io::stderr().is_terminal() {
        let once = if workbook.is_compiled() {
            ""
        } else {
            " and, this once, the libraries: about a minute"
        };
        let _ = writeln!(io::stderr(), "compiling {}{once} …", exercise.name);
    }
    let built = workbook.compile(&exercise.name)?;
    Ok(match built.program(&exercise.name) {
        Ok(program) => check::with_record(exercise, &program),
        Err(words) => (Verdict::NotCompiled(words), None),
    })
}

fn hint(exercise: &Exercise, number: u32) -> Result<bool> {
    let hints = exercise.hints()?;
    let hint = hints.get(number as usize - 1).context("there are three hints")?;
    let brief = exercise.brief()?;
    let page = format!("{}\n\n## Hint {number} of {}\n\n{hint}", brief.trim_end(), hints.len());
    say(&markdown::page(&page, WIDTH, Paint::for_stdout()))?;
    Ok(true)
}

fn reset(exercise: &Exercise, workbook: &Workbook, undo: bool, folders: &Folders) -> Result<bool> {
    let name = &exercise.name;
    if undo {
        let kept = workbook.undo(exercise)?;
        say(&format!("{name}: your program is back"))?;
        if let Some(kept) = kept {
            say(&format!("what was there is kept in {}", kept.display()))?;
        }
        return Ok(true);
    }
    match workbook.reset(exercise)? {
        None => say(&format!("{name}: this is the starter already; nothing was changed"))?,
        Some(backup) => {
            say(&format!("{name}: the starter is back; your program is kept in"))?;
            say(&format!("{}", backup.display()))?;
            let options = folders.options();
            say(&format!("`cargo xtask exercise reset --undo {name}{options}` brings it back"))?;
        }
    }
    Ok(true)
}

fn reset_all(all: &[Exercise], workbook: &Workbook, folders: &Folders) -> Result<bool> {
    progress(workbook)?;
    let Some(moved) = workbook.reset_all(all)? else {
        say("there is nothing to reset: no program is changed, no exercise passed")?;
        return Ok(true);
    };
    say(&format!("{} moved to", everything(moved.programs, moved.passed)))?;
    say(&format!("{}", moved.folder.display()))?;
    say("each exercise begins with its starter again")?;
    let options = folders.options();
    say(&format!("`cargo xtask exercise reset --all --undo{options}` brings it all back"))?;
    Ok(true)
}

fn undo_all(all: &[Exercise], workbook: &Workbook) -> Result<bool> {
    let moved = workbook.undo_all(all)?;
    say(&format!("{} back, from", everything(moved.programs, moved.passed)))?;
    say(&format!("{}", moved.folder.display()))?;
    if !moved.kept.is_empty() {
        say("what you wrote since then is kept in")?;
    }
    for kept in &moved.kept {
        say(&format!("{}", kept.display()))?;
    }
    Ok(true)
}

/// The programs and progress that a reset of everything moves, as the subject and verb of a
/// sentence.
fn everything(programs: usize, passed: usize) -> String {
    let programs = match programs {
        1 => "1 program".to_string(),
        count => format!("{count} programs"),
    };
    format!("{programs} and your progress ({passed} passed) are")
}

fn solution(exercise: &Exercise, workbook: &Workbook, give_up: bool) -> Result<bool> {
    if give_up {
        progress(workbook)?.change(|progress| {
            if !progress.passed.contains(&exercise.name) {
                progress.given_up.insert(exercise.name.clone());
            }
        })?;
    }
    let path = exercise.solution();
    let text =
        std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    say(text.trim_end())?;
    Ok(true)
}

fn show(exercise: &Exercise, variant: Option<&str>) -> Result<bool> {
    let page = match variant {
        Some(name) => variants::find(exercise, name)?.page(Paint::for_stdout())?,
        None => variants::of(exercise)?.iter().map(Variant::entry).collect(),
    };
    say(page.trim_end())?;
    Ok(true)
}
