//! A check as a value: how to run a program, and the expected results. An exercise's `check.toml`
//! is this value as text; the book's page *Writing an exercise* shows each field.
//!
//! [`draw`] draws random values for each run and puts them into arguments and expectations.
//! [`names`] has the kernel's names, and [`validate`] finds mistakes in a plan. [`judge`] compares
//! a run with the plan; [`entries`] does so for the entries.

mod draw;
mod entries;
mod judge;
mod names;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

pub use draw::{Draw, Values};
pub use names::{EntryFlag, Operations};

use super::attempt::Attempt;
use super::cost::Measured;
use super::failure::{Failure, Passed};
use super::record::Record;

/// The most runs of one check: each takes a tenth of a second or more.
const MOST_RUNS: u32 = 20;

/// The name of the number of enters.
const ENTERS: &str = "enters";

/// A check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The sentence for a program that passes. It may contain the values of all runs, and
    /// `{enters}`, the number of enters of the last run.
    pub passed: String,
    /// The runs, one after the other.
    #[serde(rename = "run")]
    pub runs: Vec<PlannedRun>,
}

/// A run of the program, and its expected results. In all texts `{NAME}` stands for a value of
/// `draw` or for the path of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannedRun {
    /// How many times to run it, each time with new values, so that a fixed answer fails.
    pub times: u32,
    /// Random values, by name.
    pub draw: BTreeMap<String, Draw>,
    /// Files for the program, by name.
    pub files: BTreeMap<String, PlannedFile>,
    /// The arguments. Each value of a list is an argument.
    pub args: Vec<String>,
    /// The program's standard input.
    pub stdin: String,
    /// A file as its standard output, such as `/dev/full`. Then the check does not see the output.
    pub stdout: Option<String>,
    /// How the program must end.
    pub exit: Exit,
    /// Entries that the program must submit.
    pub entries: Vec<Entries>,
    /// How often it may call `io_uring_enter`.
    pub enters: Option<Enters>,
    /// What the program must print.
    pub output: Option<Output>,
}

impl Default for PlannedRun {
    fn default() -> PlannedRun {
        PlannedRun {
            times: 1,
            draw: BTreeMap::new(),
            files: BTreeMap::new(),
            args: Vec::new(),
            stdin: String::new(),
            stdout: None,
            exit: Exit::default(),
            entries: Vec::new(),
            enters: None,
            output: None,
        }
    }
}

/// A file in a folder of the check.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannedFile {
    /// Its content before the run. Without this field the file does not exist yet.
    pub before: Option<String>,
    /// Its content at the end, byte for byte.
    pub after: Option<String>,
    /// The sentence for a wrong content.
    pub otherwise: Option<String>,
}

/// How a program must end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exit {
    /// Whether it must end with an exit status other than 0. Then it need not have taken every
    /// completion.
    pub failure: bool,
    /// The sentence for another end.
    pub otherwise: Option<String>,
}

/// Entries of one operation. Each must have completed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// The operation, as the trace writes it: `NOP`; or a list of operations, of which any is
    /// right.
    pub op: Operations,
    /// How many of them, exactly. Without any of the three counts: one, or one for each
    /// `user_data`.
    pub count: Option<u64>,
    /// How many at least.
    pub at_least: Option<u64>,
    /// How many at most.
    pub at_most: Option<u64>,
    /// The `user_data` of each. With a list, one entry for each of its values.
    pub user_data: Option<String>,
    /// Flags that each entry must have, as the trace writes them: `IO_LINK`.
    #[serde(default)]
    pub flags: Vec<EntryFlag>,
    /// Flags that no entry may have.
    #[serde(default)]
    pub without_flags: Vec<EntryFlag>,
    /// Other fields of each entry, by the names of `cargo xtask trace --json`: `offset`, `bytes`.
    #[serde(default)]
    pub details: BTreeMap<String, Detail>,
    /// The result of each: a number, or an error such as `ETIME`. Without this field, any result
    /// that is not an error.
    pub result: Option<Detail>,
    /// The sentence to print instead of the usual one.
    pub otherwise: Option<String>,
}

/// How often `io_uring_enter` may be called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enters {
    /// The largest allowed number.
    pub at_most: u64,
    /// The sentence to print instead of the usual one.
    pub otherwise: Option<String>,
}

/// The expected standard output.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// The whole output, byte for byte.
    pub exactly: Option<String>,
    /// Each of these texts in a line of its own, in any order, and no other lines. A line may have
    /// more words.
    pub lines: Vec<String>,
    /// Words that the output must contain.
    pub contains: Vec<String>,
    /// Whether entries of the ring must have written the output. Needs `exactly`.
    pub through_ring: bool,
    /// The operation on which the output depends: the program must not print before its first
    /// entry.
    pub after: Option<Operations>,
    /// The sentence to print instead of the usual one.
    pub otherwise: Option<String>,
}

/// A number or a text of the record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged, expecting = "expected a number, or a text in quotes")]
pub enum Detail {
    /// A number.
    Number(i64),
    /// A text.
    Text(String),
}

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
        format!("The program was run as `{line}`{input}.")
    }
}
