//! The two programs of the atlas, and what they can show.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use atlas::Report;
use toolbox::programs::{self, Programs};

/// Each day's example.
pub const EXAMPLES: [(&str, &str); 2] = [("day01", "atlas"), ("day02", "ring_atlas")];

/// For a program that only has to print a list.
const PATIENCE: Duration = Duration::from_secs(60);

/// An entry, and the program that shows it.
pub struct Listed {
    /// The program.
    pub program: PathBuf,
    /// The entry's page, empty so far.
    pub report: Report,
}

/// A name of no entry and no family.
#[derive(Debug)]
pub struct NoSuchName(String);

impl fmt::Display for NoSuchName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the atlas has no entry and no family {:?}; `cargo xtask atlas` lists all",
            self.0
        )
    }
}

impl std::error::Error for NoSuchName {}

/// All entries of both programs, which are built unless they lie in `folder`.
///
/// # Errors
/// If one does not build, or does not print its list.
pub fn list(folder: Option<&Path>) -> Result<Vec<Listed>> {
    let names = EXAMPLES.map(|(_, example)| example);
    let found: Programs = match folder {
        Some(folder) => names.map(|name| (name.to_string(), folder.join(name))).into(),
        None => programs::build_examples(&EXAMPLES)?,
    };
    let mut all = Vec::new();
    for name in names {
        let program = found
            .get(name)
            .with_context(|| format!("the example {name} does not build; Cargo says above why"))?;
        let mut command = Command::new(program);
        command.arg("--json").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let output = testkit::output_within(command, PATIENCE)
            .with_context(|| format!("asking {} for its list", program.display()))?;
        ensure!(
            output.status.success(),
            "{} prints no list: {}",
            program.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let report = serde_json::from_str(line).context("reading the list of entries")?;
            all.push(Listed { program: program.clone(), report });
        }
    }
    Ok(all)
}

/// The entries with these names, or of these families; all of them for no name.
///
/// # Errors
/// [`NoSuchName`].
pub fn choose<'all>(all: &'all [Listed], names: &[String]) -> Result<Vec<&'all Listed>> {
    if names.is_empty() {
        return Ok(all.iter().collect());
    }
    let mut chosen: Vec<&Listed> = Vec::new();
    for name in names {
        let wanted = name.to_lowercase().replace(['-', ' '], "_");
        let is = |listed: &&Listed| listed.report.name == wanted || listed.report.family == wanted;
        let found: Vec<&Listed> = all.iter().filter(is).collect();
        if found.is_empty() {
            return Err(NoSuchName(name.clone()).into());
        }
        chosen.extend(found);
    }
    Ok(chosen)
}
