//! `cargo xtask check`: what to run before a commit. It takes seconds once all is built.

mod dependencies;
mod oldest;
mod words;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;

use toolbox::output::say;
use toolbox::programs::workspace;

/// Check format, lints, words, dependencies and the book's pages: before a commit
///
/// Exit code 0: everything is right. 1: something is wrong, and was named.
#[derive(Parser)]
#[command(name = "check", bin_name = "cargo xtask check")]
pub struct Options {
    /// Compile with the oldest Rust that works: Debian 13's own, fetched from its archive
    #[arg(long)]
    oldest: bool,

    /// Look up the dependencies in a clone of github.com/rustsec/advisory-db instead, and keep
    /// what it has on them in xtask/check/advisories.toml
    #[arg(long, value_name = "DIR", conflicts_with = "oldest")]
    advisories: Option<PathBuf>,
}

/// Runs the checks and reports the results.
pub fn main(options: &Options) -> ExitCode {
    let workspace = workspace();
    let result = match &options.advisories {
        Some(database) => dependencies::refresh(&workspace, database),
        None if options.oldest => oldest::check(&workspace),
        None => all(&workspace),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => environment::report("xtask check", Err(error)),
    }
}

/// Every check runs, so that one run shows everything that is wrong.
fn all(workspace: &Path) -> Result<bool> {
    let cargo = |arguments: &str| run("cargo", arguments.split(' '), workspace);
    let results = [
        ("format", cargo("fmt --all --check")? & exercises_are_formatted(workspace)?),
        ("lints", cargo("clippy --quiet --workspace --all-targets --locked -- --deny warnings")?),
        (
            "words",
            words::check(workspace, &files(workspace, &["*.rs", "*.md", "*.txt", "*.toml"])?)?,
        ),
        ("dependencies", dependencies::check(workspace)?),
        ("pages", cargo("run --quiet --locked --package book -- check --pages")?),
    ];
    for (name, right) in results {
        say(&format!("{name}: {}", if right { "right" } else { "wrong, see above" }))?;
    }
    Ok(results.iter().all(|(_, right)| *right))
}

/// The learners' programs are in no package, so Cargo does not know them.
fn exercises_are_formatted(workspace: &Path) -> Result<bool> {
    let files = files(workspace, &["day*/exercises/*.rs"])?;
    let options = ["--check", "--edition", "2024"].map(String::from);
    run("rustfmt", options.into_iter().chain(files), workspace)
}

/// Whether a program succeeds; its output is shown.
fn run<S: AsRef<std::ffi::OsStr>>(
    program: &str,
    arguments: impl IntoIterator<Item = S>,
    workspace: &Path,
) -> Result<bool> {
    let status = Command::new(program).args(arguments).current_dir(workspace).status();
    Ok(status.with_context(|| format!("starting {program}"))?.success())
}

/// The files that git knows, or would add, and that match one of the patterns.
fn files(workspace: &Path, patterns: &[&str]) -> Result<Vec<String>> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate"])
        .arg("--")
        .args(patterns)
        .current_dir(workspace)
        .output()
        .context("starting git, which lists the files")?;
    anyhow::ensure!(output.status.success(), "git lists no files in {}", workspace.display());
    let listed = String::from_utf8(output.stdout).context("a file's name is not UTF-8")?;
    let here = |name: &&str| workspace.join(name).is_file();
    Ok(listed.split('\0').filter(here).map(String::from).collect())
}
