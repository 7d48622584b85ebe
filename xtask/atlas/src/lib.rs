//! `cargo xtask atlas`: every operation, flag and register call live, and the kernel's record of
//! it.
//!
//! - [`programs`]: the two examples, `day01/atlas` and `day02/atlas`, and their lists;
//! - [`shown`]: one entry, run under the tracer: what it says, and what the record confirms;
//! - [`table`] and [`errors`]: the same for all entries;
//! - [`record`]: the same without what differs from run to run, for the book.

mod errors;
mod programs;
mod record;
mod shown;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::environment;
use nix::errno::Errno;
use toolbox::output::{progress, say};

pub use programs::EXAMPLES;
pub use shown::Shown;
pub use table::count;

/// Show every operation, setup flag and register call live, counted by the kernel's record
///
/// Each entry of the atlas runs under the tracer: it asks the kernel, looks at the effect, and
/// makes the usual mistakes. An entry counts as shown only if the kernel's record confirms it.
/// Without a NAME: all of them, one line each. Exit code 0: each entry was shown, or left out with
/// a reason. 1: the kernel or the record differs from what an entry expects. 2: no such entry.
#[derive(Parser, Debug)]
#[command(name = "atlas", bin_name = "cargo xtask atlas")]
pub struct Options {
    /// Entries or families, such as fsync or zero_copy: print what they asked and what was answered
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Show only what this machine cannot show, why, and where it can be seen
    #[arg(long, conflicts_with_all = ["names", "errors"])]
    missing: bool,

    /// List the entries that get this error, such as EINVAL; `all` for every error
    #[arg(long, value_name = "ERRNO", value_parser = error_name)]
    errors: Option<String>,

    /// Print one JSON object for each entry: what was asked and answered, where it ran, what the
    /// record has
    #[arg(long, conflicts_with_all = ["missing", "errors"])]
    json: bool,

    /// Print what the book shows, as JSON: each entry runs twice, and what differs is left out
    #[arg(long, conflicts_with_all = ["missing", "errors", "json"])]
    record: bool,

    /// Take the two programs, `atlas` and `ring_atlas`, from this folder instead of building them
    #[arg(long, value_name = "DIR")]
    programs: Option<PathBuf>,
}

/// Runs the entries and reports their results.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) if error.is::<programs::NoSuchName>() => {
            environment::report("xtask atlas", Err(error));
            ExitCode::from(2)
        }
        Err(error) => environment::report("xtask atlas", Err(error)),
    }
}

/// Whether every entry was shown, or left out with a reason.
fn run(options: &Options) -> Result<bool> {
    let listed = programs::list(options.programs.as_deref())?;
    let chosen = programs::choose(&listed, &options.names)?;
    if options.record {
        return record::all(&chosen);
    }
    let mut all = Vec::new();
    for (nth, listed) in chosen.iter().enumerate() {
        progress(&format!("{} of {}: {}", nth + 1, chosen.len(), listed.report.name));
        let shown = match shown::show(listed) {
            Err(error) if !all.is_empty() => Shown::failed(listed, &error),
            // If the first cannot be shown, for example because io_uring is blocked, no other can.
            first => first?,
        };
        if options.json {
            say(&serde_json::to_string(&shown)?)?;
        }
        all.push(shown);
    }
    progress("");
    let text = match &options.errors {
        _ if options.json => None,
        Some(name) => Some(errors::text(&all, name)),
        None if options.missing => Some(table::missing(&all)),
        None if options.names.is_empty() => Some(table::overview(&all)),
        None => Some(all.iter().map(Shown::text).collect::<Vec<_>>().join("\n")),
    };
    if let Some(text) = text {
        say(text.trim_end())?;
    }
    Ok(all.iter().all(|shown| shown.problems().is_empty()))
}

/// An error's name, in any case.
fn error_name(text: &str) -> Result<String, String> {
    let name = text.to_uppercase();
    let known = |name: &str| (1..134).any(|code| format!("{:?}", Errno::from_raw(code)) == name);
    match known(&name) || name == "ALL" {
        true => Ok(name),
        false => Err("Linux has no error of that name; errno(3) lists them".to_string()),
    }
}
