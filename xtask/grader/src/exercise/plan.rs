//! A check as a value: how to run a program, and the expected results. An exercise's `check.toml`
//! is this value as text, with the [`fields`] that the book's page *Writing an exercise* shows.
//!
//! [`draw`] draws random values for each run and puts them into arguments and expectations.
//! [`names`] has the kernel's names, and [`validate`] finds mistakes in a plan. [`judge`] compares
//! a run with the plan; [`entries`] does so for the entries.

mod draw;
mod entries;
mod fields;
mod judge;
mod names;
#[cfg(test)]
mod tests;
mod validate;

use std::fs::{self, OpenOptions};

use anyhow::{Result, ensure};

pub use draw::{Draw, Values};
pub use fields::{Detail, Enters, Entries, Exit, Output, Plan, PlannedFile, PlannedRun};
pub use names::{EntryFlag, Operations};

use super::attempt::Attempt;
use super::cost::Measured;
use super::failure::{Failure, Passed};
use super::record::Record;

/// The most runs of one check: each takes a tenth of a second or more.
const MOST_RUNS: u32 = 20;

/// The name of the number of enters.
const ENTERS: &str = "enters";

impl Plan {
    /// Reads a `check.toml`.
    ///
    /// # Errors
    /// If the text is not a plan; the error names the line and what may stand there.
    pub fn parse(text: &str) -> Result<Plan> {
        let plan: Plan = toml::from_str(text).map_err(|error| {
            let hint = "the page Writing an exercise of the book lists every field";
            anyhow::anyhow!("{}\n{hint}", error.to_string().trim_end())
        })?;
        ensure!(!plan.runs.is_empty(), "there is no [[run]]: nothing is checked");
        let all: u32 = plan.runs.iter().map(|run| run.times).sum();
        ensure!(all <= MOST_RUNS, "{all} runs; at most {MOST_RUNS} are allowed");
        for run in &plan.runs {
            run.validate(text)?;
        }
        for name in draw::names(&plan.passed) {
            let is_known = name == ENTERS || plan.runs.iter().any(|run| run.knows(name));
            ensure!(is_known, "`passed`: no run has a value that is called {name}");
        }
        Ok(plan)
    }

    /// Runs a program by the plan.
    ///
    /// # Errors
    /// The first deviation from the plan.
    pub fn check(&self, attempt: &Attempt) -> Result<Passed, Failure> {
        let mut all = Values::default();
        let mut measured = None;
        for run in &self.runs {
            for _ in 0..run.times {
                let (record, values) = run.play(attempt)?;
                all.extend(values);
                let its = Measured::of(&record);
                all.set(ENTERS, its.cost.enters.to_string());
                // A program that must fail may have done only a part.
                measured = if run.exit.failure { measured } else { Some(its) };
            }
        }
        Ok(Passed { note: all.fill(&self.passed), measured })
    }
}

impl PlannedRun {
    /// Runs a program and compares it with this run of the plan. Returns the record and the drawn
    /// values.
    ///
    /// # Errors
    /// The first deviation from the plan.
    pub fn play(&self, attempt: &Attempt) -> Result<(Record, Values), Failure> {
        let mut values = Values::draw(&self.draw, attempt);
        for name in self.files.keys() {
            let path = attempt.folder()?.join(name);
            values.set(name, path.display().to_string());
        }
        for (name, file) in &self.files {
            let path = values.fill(&format!("{{{name}}}"));
            let written = match &file.before {
                Some(before) => fs::write(&path, values.fill(before)),
                // A file from an earlier run.
                None => fs::remove_file(&path).or(Ok(())),
            };
            written.map_err(|error| Failure::not_observed(format!("{path}: {error}")))?;
        }
        let args: Vec<String> = self.args.iter().flat_map(|arg| values.expand(arg)).collect();
        let mut launch = attempt.run(self.did(attempt, &args)).stdin(values.fill(&self.stdin));
        for arg in args {
            launch = launch.arg(arg);
        }
        if let Some(path) = &self.stdout {
            let file = OpenOptions::new().write(true).open(path);
            launch = launch
                .stdout(file.map_err(|error| Failure::not_observed(format!("{path}: {error}")))?);
        }
        if let Some(bytes) = self.file_limit {
            launch = launch.file_limit(bytes);
        }
        let record = launch.to_end()?;
        judge::judge(self, &record, &values)?;
        Ok((record, values))
    }

    /// The command, as a learner would type it.
    fn did(&self, attempt: &Attempt, args: &[String]) -> String {
        const LONGEST: usize = 30;
        let mut line = attempt.name().to_string();
        for arg in args {
            line.push(' ');
            let short: String = arg.chars().take(LONGEST).collect();
            let more = if short.len() < arg.len() { "…" } else { "" };
            let plain = |letter: char| letter.is_alphanumeric() || "_-./".contains(letter);
            match short.chars().all(plain) && !short.is_empty() {
                true => line.push_str(&format!("{short}{more}")),
                false => line.push_str(&format!("\"{short}{more}\"")),
            }
        }
        if let Some(path) = &self.stdout {
            line.push_str(&format!(" > {path}"));
        }
        let input = if self.stdin.is_empty() { "" } else { ", with an input to read" };
        let limit = self.file_limit.map(|it| format!(" Its files may have {it} bytes."));
        format!("The program was run as `{line}`{input}.{}", limit.unwrap_or_default())
    }
}
