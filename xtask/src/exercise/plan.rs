//! A check as a value: how a program is run, and what must come of it. An exercise's `check.toml` is
//! this value as text; the book's page *Writing an exercise* shows each field.
//!
//! [`draw`] has what is drawn anew for each run and put into arguments and expectations;
//! [`judge`] compares what was seen with what was asked for.

mod draw;
mod judge;

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};

use anyhow::{Context, Result, bail, ensure};
use common::catalog::{ENTRY_FLAGS, OPERATIONS, Table};
use serde::{Deserialize, Serialize};

pub use draw::{Draw, Values};

use super::attempt::Attempt;
use super::failure::{Failure, Passed};
use super::record::Record;

/// The most runs of one check: each takes a tenth of a second or more.
const MOST_RUNS: u32 = 20;

/// A check.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What a program that passes hears, in a sentence. `{enters}` is the number of its enters.
    pub passed: String,
    /// The runs, one after the other.
    #[serde(rename = "run")]
    pub runs: Vec<PlannedRun>,
}

/// A run of the program, and what must come of it. In all texts `{NAME}` stands for a value of
/// `draw` or for the path of a file.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PlannedRun {
    /// How often, each time with new values: an answer made for one does not fit another.
    pub times: u32,
    /// Values that nobody knows beforehand, by name.
    pub draw: BTreeMap<String, Draw>,
    /// Files that are there for the program, by name.
    pub files: BTreeMap<String, PlannedFile>,
    /// The arguments. A list is as many arguments.
    pub args: Vec<String>,
    /// What the program reads from its standard input.
    pub stdin: String,
    /// A file as its standard output, such as `/dev/full`. Then nothing is known of what it prints.
    pub stdout: Option<String>,
    /// How it must end.
    pub exit: Exit,
    /// Entries that the kernel must take.
    pub entries: Vec<Entries>,
    /// How often it may call `io_uring_enter`.
    pub enters: Option<Enters>,
    /// What it must print.
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
    /// What is in it; without this there is no file yet.
    pub before: Option<String>,
    /// What must be in it at the end, byte for byte.
    pub after: Option<String>,
    /// What is said if it is not.
    pub otherwise: Option<String>,
}

/// How a program must end.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Exit {
    /// By an exit status other than 0. Then it need not have taken every completion.
    pub failure: bool,
    /// What is said if it does not.
    pub otherwise: Option<String>,
}

/// Entries of one operation. Each must have been answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entries {
    /// The operation, as the trace writes it: `NOP`, `READ`.
    pub op: Operation,
    /// How many of them, exactly. Without any of the three: one, or one for each `user_data`.
    pub count: Option<u64>,
    /// How many at least.
    pub at_least: Option<u64>,
    /// How many at most.
    pub at_most: Option<u64>,
    /// The `user_data` of each. With a list, one entry for each of its values.
    pub user_data: Option<String>,
    /// Flags that each must have, as the trace writes them: `IO_LINK`.
    #[serde(default)]
    pub flags: Vec<EntryFlag>,
    /// Flags that none may have.
    #[serde(default)]
    pub without_flags: Vec<EntryFlag>,
    /// What else each must ask for, by the names of `cargo xtask trace --json`: `offset`, `bytes`.
    #[serde(default)]
    pub details: BTreeMap<String, Detail>,
    /// What each must be answered with: a number, or an error such as `ETIME`. Without it, anything
    /// but an error.
    pub result: Option<Detail>,
    /// What is said in place of the usual sentence.
    pub otherwise: Option<String>,
}

/// How often `io_uring_enter` may be called.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enters {
    /// No more often.
    pub at_most: u64,
    /// What is said in place of the usual sentence.
    pub otherwise: Option<String>,
}

/// What must be printed on the standard output.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Output {
    /// All of it, byte for byte.
    pub exactly: Option<String>,
    /// Each of these in a line of its own, in any order, and no other lines. More words may stand
    /// in a line.
    pub lines: Vec<String>,
    /// Words that must be somewhere.
    pub contains: Vec<String>,
    /// Entries of the ring must have written it. Goes with `exactly`.
    pub through_ring: bool,
    /// The operation before whose first entry it cannot be known, and must not be printed.
    pub after: Option<Operation>,
    /// What is said in place of the usual sentence.
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

/// The short name of an operation.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct Operation(String);

/// The short name of an entry's flag.
#[derive(Clone, Debug, Serialize, Deserialize, PartialEq, Eq)]
#[serde(try_from = "String")]
pub struct EntryFlag(String);

impl TryFrom<String> for Operation {
    type Error = String;

    fn try_from(name: String) -> Result<Operation, String> {
        known(&OPERATIONS, &name).map(Operation)
    }
}

impl TryFrom<String> for EntryFlag {
    type Error = String;

    fn try_from(name: String) -> Result<EntryFlag, String> {
        known(&ENTRY_FLAGS, &name).map(EntryFlag)
    }
}

/// The short form of a name in a table of the kernel's names.
fn known(table: &Table, name: &str) -> Result<String, String> {
    let entry = table.by_name(name).or_else(|| table.by_name(&name.to_uppercase()));
    entry.map(|entry| entry.short.to_string()).ok_or_else(|| {
        let near = |short: &str| name.to_uppercase().contains(short) || short.contains(name);
        let near: Vec<&str> =
            table.entries.iter().map(|entry| entry.short).filter(|short| near(short)).collect();
        let likely = match near.as_slice() {
            [] => format!("{} is one", table.entries[0].short),
            near => format!("did you mean {}?", near.join(" or ")),
        };
        format!("`{name}` is no {}; {likely}", table.what)
    })
}

impl Plan {
    /// Reads a `check.toml`.
    ///
    /// # Errors
    /// If the text is no plan; the error names the line and what may stand there.
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
        let last = &plan.runs[plan.runs.len() - 1];
        last.names_are_known(&plan.passed, text, &["enters"])?;
        Ok(plan)
    }

    /// Runs a program as planned.
    ///
    /// # Errors
    /// The first thing that is not as planned.
    pub fn check(&self, attempt: &Attempt) -> Result<Passed, Failure> {
        let mut note = self.passed.clone();
        for run in &self.runs {
            for _ in 0..run.times {
                let (record, mut values) = run.play(attempt)?;
                values.set("enters", judge::enters(&record).to_string());
                note = values.fill(&self.passed);
            }
        }
        Ok(Passed::new(note))
    }
}

impl PlannedRun {
    /// Runs a program and looks at everything that this run asks for. What was seen, and the
    /// values that were drawn, are there for more questions.
    ///
    /// # Errors
    /// The first thing that is not as planned.
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
                // One that another run has left.
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

    /// How it is run, as a learner would type it.
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

    /// Whether the values are used as they can be.
    fn validate(&self, text: &str) -> Result<()> {
        ensure!(self.times > 0, "`times = 0` checks nothing");
        for (name, draw) in &self.draw {
            draw.validate().with_context(|| at(text, name))?;
            ensure!(!self.files.contains_key(name), "a value and a file are both called {name}");
        }
        for name in self.draw.keys().chain(self.files.keys()) {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            ensure!(
                name.chars().all(plain),
                "{}: a name has letters, digits and `_` only: {name}",
                at(text, name)
            );
        }
        for words in self.texts() {
            self.names_are_known(words, text, &[])?;
        }
        for entries in &self.entries {
            let both = entries.count.is_some()
                && (entries.at_least.is_some() || entries.at_most.is_some());
            ensure!(
                !both,
                "{} entries: `count` is exact; write it, or `at_least` and `at_most`",
                entries.op.0
            );
        }
        let Some(output) = &self.output else { return Ok(()) };
        ensure!(
            self.stdout.is_none(),
            "`stdout` sends what is printed to a file, so `output` cannot be looked at"
        );
        let ways =
            [output.exactly.is_some(), !output.lines.is_empty(), !output.contains.is_empty()];
        ensure!(
            ways.contains(&true),
            "`output` says nothing of what is printed: write `exactly`, `lines` or `contains`"
        );
        if output.through_ring && output.exactly.is_none() {
            bail!(
                "`through_ring` goes with `exactly`: the bytes that entries have written are counted"
            );
        }
        Ok(())
    }

    /// Every text in which a name may stand.
    fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = self.args.iter().map(String::as_str).collect();
        texts.push(&self.stdin);
        texts.extend(self.exit.otherwise.as_deref());
        for file in self.files.values() {
            texts.extend(
                [&file.before, &file.after, &file.otherwise]
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            );
        }
        for entries in &self.entries {
            texts.extend(entries.user_data.as_deref());
            texts.extend(entries.otherwise.as_deref());
            for detail in entries.details.values().chain(&entries.result) {
                if let Detail::Text(words) = detail {
                    texts.push(words);
                }
            }
        }
        if let Some(enters) = &self.enters {
            texts.extend(enters.otherwise.as_deref());
        }
        if let Some(output) = &self.output {
            texts.extend(output.exactly.as_deref());
            texts.extend(output.lines.iter().chain(&output.contains).map(String::as_str));
            texts.extend(output.otherwise.as_deref());
        }
        texts
    }

    fn names_are_known(&self, words: &str, text: &str, more: &[&str]) -> Result<()> {
        for name in draw::names(words) {
            let plain = name.strip_suffix(draw::LENGTH).unwrap_or(name);
            let is_known = self.draw.contains_key(plain)
                || self.files.contains_key(plain)
                || more.contains(&name);
            if is_known {
                continue;
            }
            let drawn: Vec<&str> =
                self.draw.keys().chain(self.files.keys()).map(String::as_str).collect();
            let there = match drawn.as_slice() {
                [] => "this run draws no value".to_string(),
                drawn => format!("this run has {}", drawn.join(", ")),
            };
            bail!(
                "{}: nothing is called {name}; {there}. Draw it, as in `draw.{plain} = {{ number = \
                 [1, 9] }}`, or write {{{{ for a brace.",
                at(text, &format!("{{{name}}}"))
            );
        }
        Ok(())
    }
}

/// `line 7`, for the first line that has these words.
fn at(text: &str, words: &str) -> String {
    match text.lines().position(|line| line.contains(words)) {
        Some(line) => format!("line {}", line + 1),
        None => words.to_string(),
    }
}
