//! Proves the exercises: every starter fails with the stated id, every solution and other right
//! answer passes, and every wrong answer fails with its stated id.
//!
//! [`cases`] finds and compiles these programs, and [`verdicts`] checks them.

mod cases;
mod verdicts;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use common::text::several;
use serde::{Deserialize, Serialize};

use super::exercises::{self, Exercise};
use super::folders::Folders;
use super::ids;
use super::new;
use super::workbook::target;
use toolbox::output::say;

use cases::{Case, cases_of, compile, not_compiled};
pub use cases::{learners, starters_and_solutions};
pub use verdicts::Proof;
use verdicts::{check_all, good_at_last, prove};

/// What to prove, by the options.
#[derive(Args, Debug)]
pub struct Options {
    /// The exercises. Without names, all of them
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// How often each program is checked
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,

    /// Checks at a time
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=64))]
    jobs: u32,

    /// How often a program that is not as stated is checked again, alone, because a busy machine
    /// can disturb a check
    #[arg(long, value_name = "N", default_value_t = 0)]
    again: u32,

    /// Print every verdict, not only those that are not as stated
    #[arg(long)]
    show: bool,

    /// Use the compiled programs in this folder, and leave out those that are missing there
    #[arg(long, value_name = "DIR", hide = true)]
    programs: Option<PathBuf>,

    /// Print one JSON object at the end, and nothing else
    #[arg(long, hide = true, requires = "programs")]
    json: bool,
}

/// The output of `--json`.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proofs {
    /// In the order in which they were checked.
    pub exercises: Vec<Proof>,
}

/// Proves the exercises. Returns whether all was as stated.
///
/// # Errors
/// If an exercise's files are wrong, or nothing can be compiled.
pub fn main(
    options: &Options,
    all: &[Exercise],
    folders: &Folders,
    workspace: &Path,
) -> Result<bool> {
    let began = Instant::now();
    let picked = exercises::pick(all, &options.names)?;
    let (_, unfinished) = folders.look(workspace)?;
    if options.names.is_empty() && !unfinished.is_empty() {
        bail!("{} cannot be proved", several(unfinished.len(), "unfinished exercise"));
    }
    let (mut cases, mut lacking) = (Vec::new(), Vec::new());
    for exercise in &picked {
        cases.extend(cases_of(exercise)?);
        let lacks = new::lacks(exercise, workspace)?;
        if !lacks.is_empty() {
            say(&format!("{} is not finished:\n  {}", exercise.name, lacks.join("\n  ")))?;
            lacking.push(exercise.name.as_str());
        }
    }
    if let Some(folder) = &options.programs {
        return compiled(&cases, folder, options);
    }
    // Some exercises get another package, so that the one for all is not compiled again.
    let package = if options.names.is_empty() { "all" } else { "some" };
    let exercises = several(picked.len(), "exercise");
    say(&format!("compiling {} programs of {exercises}", cases.len()))?;
    let target = target(workspace).join("workbook");
    let built = compile(&cases, package, workspace, &target, Vec::new())?;
    let compiled = began.elapsed();
    let mut bad = not_compiled(&cases, &built);
    let jobs: Vec<&Case> = (0..options.runs)
        .flat_map(|_| &cases)
        .filter(|case| !bad.contains(&case.program))
        .collect();
    let first = check_all(&jobs, &built, options.jobs, options.show);
    let stays =
        |program: &String| !good_at_last(program, &cases, &built, options.again, options.show);
    let (wrong, wavered): (Vec<String>, Vec<String>) = first.into_iter().partition(stays);
    bad.extend(wrong);
    let count = cases.len();
    let mut line = format!("{exercises}, {count} programs, {} checks: ", jobs.len());
    if bad.is_empty() {
        let _ = write!(line, "all as stated");
    } else {
        let _ = write!(line, "{} not as stated: {}", bad.len(), bad.join(", "));
    }
    if !wavered.is_empty() {
        let _ = write!(line, ", {} not at the first try: {}", wavered.len(), wavered.join(", "));
    }
    if !lacking.is_empty() {
        let _ = write!(line, "; not finished: {}", lacking.join(", "));
    }
    let checked = began.elapsed() - compiled;
    let _ = write!(
        line,
        " ({:.0} s to compile, {:.0} s to check)",
        compiled.as_secs_f64(),
        checked.as_secs_f64()
    );
    say(&line)?;
    Ok(bad.is_empty() && lacking.is_empty())
}

/// Checks compiled programs, one after the other.
fn compiled(cases: &[Case], folder: &Path, options: &Options) -> Result<bool> {
    let mut proofs = Vec::new();
    for case in cases {
        let program = folder.join(&case.program);
        if !program.is_file() {
            continue;
        }
        let mut proof = prove(case, &program);
        for _ in 0..options.again {
            if proof.got != case.expected && proof.got != ids::NOT_OBSERVED.name {
                proof = prove(case, &program);
            }
        }
        proofs.push(proof);
    }
    let right = proofs.iter().all(|proof| proof.got == proof.expected);
    let proofs = Proofs { exercises: proofs };
    if options.json {
        say(&serde_json::to_string(&proofs).context("writing JSON")?)?;
    } else {
        for Proof { program, expected, got, .. } in &proofs.exercises {
            say(&format!("{program}: {got}, expected {expected}"))?;
        }
    }
    Ok(right)
}
