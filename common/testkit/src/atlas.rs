//! Runs the entries of an atlas as a reader runs them.

use std::collections::BTreeSet;
use std::process::{Command, Output};

use anyhow::{Result, ensure};
use common::catalog::{self, Table};
use serde_json::Value;

use super::{Folder, PATIENCE, example, in_words, io_uring_or_skip, output_within, skipped};

/// The example that shows the entries of a package, by its name.
#[derive(Debug)]
pub struct Atlas(pub &'static str);

impl Atlas {
    /// A command of it.
    ///
    /// # Panics
    /// As [`example()`].
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = example(self.0);
        command.args(arguments);
        command
    }

    /// The names of all entries, and what each shows.
    ///
    /// # Panics
    /// If the list is not available.
    pub fn entries(&self) -> Vec<(String, Vec<String>)> {
        let output = self.command(&["--json"]).output().expect("the atlas starts");
        let text = String::from_utf8(output.stdout).expect("it prints UTF-8");
        let text_of = |value: &Value| value.as_str().expect("a name").to_string();
        let entry = |line: &str| {
            let entry: Value = serde_json::from_str(line).expect("an object an entry");
            let shows = entry["shows"].as_array().expect("a list").iter().map(text_of).collect();
            (text_of(&entry["name"]), shows)
        };
        text.lines().map(entry).collect()
    }

    /// Runs each entry by itself, after `prepare`, which returns `false` if it is not possible
    /// here. A test that cannot run is skipped aloud.
    ///
    /// # Panics
    /// With all failures: each entry that is neither shown nor left out with a reason.
    pub fn each_entry(&self, test: &str, prepare: impl Fn(&mut Command) -> bool) {
        if !io_uring_or_skip(test) {
            return;
        }
        let mut wrong = Vec::new();
        for (name, _) in self.entries() {
            let mut command = self.command(&[&name, "--json"]);
            if !prepare(&mut command) {
                return skipped(test, "that user may not run the program");
            }
            match run(&name, command) {
                Ok(output) if stderr(&output).contains("io_uring_setup was refused") => {
                    return skipped(test, stderr(&output));
                }
                Ok(output) => wrong.extend(judge(&name, &output)),
                Err(error) => wrong.push(format!("{name}: {error:#}")),
            }
        }
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
}

/// Runs an entry, which must leave no file behind.
fn run(name: &str, mut command: Command) -> Result<Output> {
    let folder = Folder::new(name);
    command.env("TMPDIR", &*folder);
    let output = output_within(command, PATIENCE);
    let left = folder.names();
    ensure!(left.is_empty(), "it leaves files behind: {left:?}");
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What is wrong with an entry's answer: it must be shown, or left out with a reason.
fn judge(name: &str, output: &Output) -> Option<String> {
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let any = |list: &str| report[list].as_array().is_some_and(|list| !list.is_empty());
    let wrong = if output.status.code() != Some(0) {
        format!("ends with {}", in_words(output.status))
    } else if !output.stderr.is_empty() {
        "complains, and ends with exit status 0".to_string()
    } else if !any("rows") && !any("left_out") {
        "neither shows anything nor says why not".to_string()
    } else {
        return None;
    };
    let failed = report["failed"].as_str().map(str::to_string);
    Some(format!("{name} {wrong}: {}", failed.unwrap_or_else(|| stderr(output))))
}

/// Compares what entries show with the tables that they must cover. Complains of each name that no
/// entry shows, unless it is listed as shown `elsewhere`; of each listed name that is shown here;
/// of each name that no table of the catalogue has; and of two entries with one name.
pub fn complaints(
    entries: &[(String, Vec<String>)],
    tables: &[&'static Table],
    elsewhere: &[&str],
) -> Vec<String> {
    let shown: BTreeSet<&str> =
        entries.iter().flat_map(|(_, shows)| shows).map(String::as_str).collect();
    let wanted = tables.iter().flat_map(|table| table.entries).map(|entry| entry.name);
    let unshown = wanted
        .filter(|name| !shown.contains(name) && !elsewhere.contains(name))
        .map(|name| format!("no entry shows {name}"));
    let found = elsewhere.iter().filter(|name| shown.contains(*name));
    let found = found.map(|name| {
        format!("{name} is shown here: take it off the list of what is shown elsewhere")
    });
    let unknown = shown.iter().chain(elsewhere).filter(|name| catalog::find(name).is_none());
    let unknown = unknown.map(|name| format!("the catalogue has no {name}"));
    let mut names = BTreeSet::new();
    let twice = entries.iter().filter(|(name, _)| !names.insert(name));
    let twice = twice.map(|(name, _)| format!("two entries are called {name}"));
    unshown.chain(found).chain(unknown).chain(twice).collect()
}
