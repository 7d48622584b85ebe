//! The days' programs: built now, or taken from a folder.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::cargo::{self, Target};

/// The executables that were found, by day.
pub type Programs = BTreeMap<String, PathBuf>;

/// How to get them.
pub enum Source<'a> {
    /// Ask Cargo to build them.
    Build {
        /// With optimisations.
        release: bool,
        /// Without Cargo's progress.
        quiet: bool,
    },
    /// They lie in this folder.
    Folder(&'a Path),
}

/// Finds the program of each day. One that does not build, or is not there, is missing from
/// the answer; the others can still run.
///
/// # Errors
/// If Cargo cannot be started.
pub fn find(source: &Source<'_>, days: &[&str]) -> Result<Programs> {
    match source {
        Source::Folder(folder) => Ok(in_folder(folder, days)),
        Source::Build { release, quiet } => build(days, *release, *quiet),
    }
}

fn in_folder(folder: &Path, days: &[&str]) -> Programs {
    days.iter()
        .map(|day| (day.to_string(), folder.join(day)))
        .filter(|(_, program)| program.is_file())
        .collect()
}

/// One build for all of them, so that what they share is compiled once. Cargo itself says
/// where it put each: that depends on CARGO_TARGET_DIR, on its configuration and on the
/// target.
fn build(days: &[&str], release: bool, quiet: bool) -> Result<Programs> {
    let mut arguments: Vec<&str> = days.iter().flat_map(|day| ["--package", day]).collect();
    if release {
        arguments.push("--release");
    }
    if quiet {
        arguments.push("--quiet");
    }
    let messages = cargo_build(&arguments)?;
    Ok(executables(&messages, |target| days.contains(&target.name.as_str())))
}

/// Builds examples, each of a package, and finds them by their names.
///
/// # Errors
/// If Cargo cannot be started.
pub fn build_examples(of: &[(&str, &str)]) -> Result<Programs> {
    let mut arguments = vec!["--quiet"];
    for (package, example) in of {
        arguments.extend(["--package", package, "--example", example]);
    }
    let messages = cargo_build(&arguments)?;
    Ok(executables(&messages, |target| target.is("example")))
}

/// Builds with optimisations what a comparison of `package` needs: its program, its examples and
/// its bench targets, under the targets' names.
///
/// # Errors
/// If Cargo cannot be started.
pub fn build_for_bench(package: &str) -> Result<Programs> {
    // Not `--benches`: that would build the program once more, as its own test.
    let messages =
        cargo_build(&["--release", "--package", package, "--bins", "--examples", "--bench=*"])?;
    Ok(executables(&messages, |target| {
        ["bin", "example", "bench"].iter().any(|kind| target.is(kind))
    }))
}

/// The names of a package's examples, without building them.
///
/// # Errors
/// If Cargo cannot be started, or answers nonsense.
pub fn examples(package: &str) -> Result<Vec<String>> {
    let answer = run("metadata", &["--no-deps", "--format-version=1"])?;
    let metadata: Value = serde_json::from_str(&answer).context("reading Cargo's answer")?;
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    Ok(list(&metadata["packages"])
        .iter()
        .filter(|it| it["name"] == package)
        .flat_map(|it| list(&it["targets"]))
        .filter(|target| target["kind"][0] == "example")
        .filter_map(|target| target["name"].as_str().map(str::to_string))
        .collect())
}

/// Cargo's messages, one JSON object a line. Its errors go to the terminal.
fn cargo_build(arguments: &[&str]) -> Result<String> {
    let all = ["--keep-going", "--message-format=json-render-diagnostics"];
    run("build", &[&all, arguments].concat())
}

/// Cargo's output. Cargo ends when this program is killed.
fn run(task: &str, arguments: &[&str]) -> Result<String> {
    let mut command = cargo::command();
    command.arg(task).arg("--manifest-path").arg(workspace().join("Cargo.toml")).args(arguments);
    testkit::die_with_parent(&mut command);
    let output = command
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start Cargo")?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The workspace's folder: above the tool's package, with the days in it. Cargo names the package
/// at run time, so that a moved checkout is found.
pub fn workspace() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")), PathBuf::from);
    let mut above = package.ancestors().skip(1);
    let workspace = above.clone().find(|folder| folder.join("day01").is_dir()).or(above.next());
    let workspace = workspace.unwrap_or(&package);
    workspace.canonicalize().unwrap_or_else(|_| workspace.to_path_buf())
}

/// Picks executables from Cargo's messages by their target.
fn executables(messages: &str, wanted: impl Fn(&Target) -> bool) -> Programs {
    cargo::messages(messages)
        .filter(|message| wanted(&message.target))
        .filter_map(|message| Some((message.target.name, message.executable?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_tells_where_the_programs_are() {
        let messages = r#"
{"reason":"compiler-artifact","target":{"kind":["lib"],"name":"common"},"executable":null}
{"reason":"compiler-artifact","target":{"kind":["test"],"name":"run"},"executable":"/t/debug/run"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"day01"},"executable":"/t/debug/day01"}
{"reason":"compiler-artifact","target":{"kind":["bin"],"name":"other"},"executable":"/t/debug/other"}
{"reason":"compiler-message","message":{"level":"warning"}}
{"reason":"build-finished","success":false}"#;
        let programs = executables(messages, |target| target.is("bin") && target.name != "other");
        assert_eq!(programs, Programs::from([("day01".into(), "/t/debug/day01".into())]));
    }
}
