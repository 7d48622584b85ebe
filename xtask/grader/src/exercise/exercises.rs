//! An exercise, its files, and the search for one by name.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use common::environment;
use serde::{Deserialize, Serialize};

use super::cost::Par;
use super::near::near;
use super::procedures::Check;

/// The content of an `exercise.toml`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct About {
    /// The title, a few words.
    pub title: String,
    /// The day, for a folder outside the repository.
    pub day: Option<u32>,
    /// Its place within the day, from 1.
    pub order: u32,
    /// How long it takes, in minutes.
    pub minutes: u32,
    /// Page and fragment of the book.
    pub book: String,
    /// The id that the starter must fail with.
    pub starter: String,
    /// The cost of the solution; `verify` reports another cost.
    pub par: Option<Par>,
    /// The lowest kernel, as in `6.0`, if it is above the day's.
    pub needs: Option<String>,
    /// Whether, in `learn --test`, passing it skips the rest of its day. One exercise of each day.
    #[serde(default)]
    pub test: bool,
    /// The former name, under which a learner may have passed it.
    pub formerly: Option<String>,
}

/// An exercise.
#[derive(Clone)]
pub struct Exercise {
    /// Its name, also that of its program.
    pub name: String,
    /// The day, from 1.
    pub day: u32,
    /// What `exercise.toml` says.
    pub about: About,
    /// Its folder.
    pub folder: PathBuf,
    /// Its check.
    pub check: Check,
}

impl Exercise {
    /// The brief.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn brief(&self) -> Result<String> {
        read(&self.folder.join("brief.md"))
    }

    /// The file of the starter.
    pub fn starter(&self) -> PathBuf {
        self.folder.join("starter.rs")
    }

    /// The file of the solution.
    pub fn solution(&self) -> PathBuf {
        self.folder.join("solution.rs")
    }

    /// The three hints: a question, a pointer, nearly the code.
    ///
    /// # Errors
    /// If the file cannot be read, or does not have three sections.
    pub fn hints(&self) -> Result<Vec<String>> {
        let path = self.folder.join("hints.md");
        let hints = sections(&read(&path)?);
        if hints.len() != 3 {
            bail!("{} has {} sections, not three", path.display(), hints.len());
        }
        Ok(hints)
    }

    /// The oldest kernel on which it runs.
    pub fn kernel(&self) -> (u32, u32) {
        let days = if self.day < 3 { (5, 10) } else { (5, 19) };
        self.about.needs.as_deref().and_then(release).map_or(days, |needs| needs.max(days))
    }
}

/// `6.0` or `6.18.5-amd64` as a pair of numbers.
pub fn release(text: &str) -> Option<(u32, u32)> {
    let mut parts = text.split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The text under each `## ` heading.
fn sections(text: &str) -> Vec<String> {
    let mut sections: Vec<String> = Vec::new();
    for line in text.lines() {
        if line.starts_with("## ") {
            sections.push(String::new());
        } else if let Some(section) = sections.last_mut() {
            section.push_str(line);
            section.push('\n');
        }
    }
    sections.into_iter().map(|section| trim_lines(&section)).collect()
}

/// Removes the empty lines before and after. Indents stay.
fn trim_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let full = |line: &&str| !line.trim().is_empty();
    let from = lines.iter().position(full).unwrap_or(0);
    let to = lines.iter().rposition(full).map_or(0, |at| at + 1);
    lines[from..to].join("\n")
}

/// The text of a file.
///
/// # Errors
/// If it cannot be read.
pub fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))
}

/// Selects exercises by name; without names, all.
///
/// # Errors
/// If there is no exercise of that name. The error suggests a similar name.
pub fn pick(all: &[Exercise], names: &[String]) -> Result<Vec<Exercise>> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    names.iter().map(|name| find(all, name).cloned()).collect()
}

/// The exercise of that name.
///
/// # Errors
/// As [`pick`].
pub fn find<'a>(all: &'a [Exercise], name: &str) -> Result<&'a Exercise> {
    if let Some(exercise) = all.iter().find(|exercise| exercise.name == name) {
        return Ok(exercise);
    }
    let names: Vec<&str> = all.iter().map(|exercise| exercise.name.as_str()).collect();
    let likely = match near(name, &names, 1).first() {
        Some(near) => format!("did you mean {near}?"),
        None => format!(
            "there are {}. A teacher's own are found with `--exercises DIR`",
            names.join(", ")
        ),
    };
    Err(WrongUsage::error(format!("there is no exercise {name}; {likely}")))
}

/// A wrong command line, explained in a sentence: for example, no exercise has that name.
#[derive(Debug)]
pub struct WrongUsage(String);

impl WrongUsage {
    /// The error that ends a command.
    pub fn error(sentence: String) -> anyhow::Error {
        WrongUsage(sentence).into()
    }
}

impl fmt::Display for WrongUsage {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for WrongUsage {}

/// Prints why a command failed. The exit code is 2 for wrong usage, and otherwise that of
/// [`environment::report`].
pub fn failed(command: &str, error: anyhow::Error) -> ExitCode {
    let usage = error.is::<WrongUsage>();
    let code = environment::report(command, Err(error));
    if usage { ExitCode::from(2) } else { code }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_what_stands_under_the_headings() {
        let hints = sections("# Hints\n\n## 1\n\nWhy?\n\n## 2\nLook there.\n## 3\n\n    code\n");
        assert_eq!(hints, ["Why?", "Look there.", "    code"]);
    }

    #[test]
    fn a_release_is_two_numbers() {
        assert_eq!(release("6.0"), Some((6, 0)));
        assert_eq!(release("6.18.5+deb14-amd64"), Some((6, 18)));
        assert_eq!(release("six"), None);
    }
}
