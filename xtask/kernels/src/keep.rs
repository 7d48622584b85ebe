//! Keeps the kernels' reports in the repository, as small files that tests and the book read.
//!
//! `common/recorded/linux_6_1.json` holds a kernel's features,
//! `day01/tests/recorded/linux_6_1.json` and day02's what the days found there. Each is named by
//! the kernel's release, so a new kernel adds files and a known one refreshes its own.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use atlas::Recording;
use common::catalog::Kernel;
use serde_json::Value;

use super::outcome::Answers;

/// Writes the recordings of one kernel, and returns their paths in the workspace.
///
/// # Errors
/// If they cannot be written, or the kernel's release cannot be read.
pub fn keep(workspace: &Path, answers: &Answers) -> Result<Vec<PathBuf>> {
    let release = &answers.facts.release;
    let kernel = Kernel::parse(release).with_context(|| format!("{release:?} is not a release"))?;
    let facts = serde_json::to_value(&answers.facts).context("the facts are plain data")?;
    let mut written = vec![write(workspace, "common/recorded", kernel, &facts)?];
    for printed in &answers.printed {
        let folder = format!("{}/tests/recorded", printed.day);
        let mut json = printed.json.clone();
        if let Some(object) = json.as_object_mut() {
            // day01 adds the whole catalogue, which is not the kernel's answer.
            object.remove("operations");
        }
        written.push(write(workspace, &folder, kernel, &json)?);
    }
    Ok(written)
}

/// What the atlas showed on an ordinary machine, and what it shows in the emulated one.
const HERE: &str = "book/atlas/host.jsonl";
const EMULATED: &str = "book/atlas/emulated.jsonl";

/// The entries of the atlas that leave something out on an ordinary machine, by the book's recording.
///
/// # Errors
/// If there is no such recording.
pub fn left_out_here(workspace: &Path) -> Result<Vec<String>> {
    let text =
        fs::read_to_string(workspace.join(HERE)).with_context(|| format!("reading {HERE}"))?;
    let here = Recording::parse(&text).with_context(|| format!("reading {HERE}"))?;
    let left_out = here.entries.into_iter().filter(|entry| !entry.report.left_out.is_empty());
    Ok(left_out.map(|entry| entry.report.name).collect())
}

/// Writes what the newest of these kernels showed of the atlas, and returns the path in the
/// workspace.
///
/// # Errors
/// If it cannot be written.
pub fn keep_atlas(workspace: &Path, all: &[&Answers]) -> Result<Option<PathBuf>> {
    let newest = all.iter().max_by_key(|answers| Kernel::parse(&answers.facts.release));
    let Some(recording) = newest.and_then(|answers| answers.recording.as_ref()) else {
        return Ok(None);
    };
    fs::write(workspace.join(EMULATED), recording)
        .with_context(|| format!("writing {EMULATED}"))?;
    Ok(Some(EMULATED.into()))
}

fn write(workspace: &Path, folder: &str, kernel: Kernel, json: &Value) -> Result<PathBuf> {
    let name = format!("linux_{}_{}.json", kernel.major, kernel.minor);
    let path = Path::new(folder).join(name);
    let full = workspace.join(&path);
    let text = compact_lists(&serde_json::to_string_pretty(json)?) + "\n";
    fs::create_dir_all(workspace.join(folder))
        .and_then(|()| fs::write(&full, text))
        .with_context(|| format!("writing {}", full.display()))?;
    Ok(path)
}

/// Puts lists of numbers on one line: sixty operations are easier to compare so.
fn compact_lists(pretty: &str) -> String {
    let mut text = String::new();
    let mut lines = pretty.lines().peekable();
    while let Some(line) = lines.next() {
        text += line;
        let numbers = |line: &&str| line.trim().trim_end_matches(',').parse::<i64>().is_ok();
        if line.ends_with('[') && lines.peek().is_some_and(numbers) {
            let list: Vec<&str> =
                std::iter::from_fn(|| lines.next_if(numbers)).map(str::trim).collect();
            text += &list.join(" ");
            text += lines.next().map_or("", str::trim);
        }
        text.push('\n');
    }
    text.trim_end().to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::Facts;
    use crate::outcome::Printed;

    #[test]
    fn a_kernel_is_recorded_under_its_release() {
        let folder = tempfile::tempdir().unwrap();
        let workspace = folder.path();
        let facts = Facts {
            release: "6.1.0-50-cloud-amd64".into(),
            operations: vec![0, 1],
            ..Facts::default()
        };
        let printed = vec![Printed {
            day: "day01".into(),
            json: json!({"supported": [0], "operations": []}),
        }];
        let answers = Answers { facts: facts.clone(), printed, ..Answers::default() };
        let written = keep(workspace, &answers).unwrap();
        let names: Vec<_> = written.iter().map(|path| path.to_str().unwrap()).collect();
        assert_eq!(
            names,
            ["common/recorded/linux_6_1.json", "day01/tests/recorded/linux_6_1.json"]
        );
        let text = fs::read_to_string(workspace.join(&written[0])).unwrap();
        assert_eq!(serde_json::from_str::<Facts>(&text).unwrap(), facts);
        let text = fs::read_to_string(workspace.join(&written[1])).unwrap();
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), json!({"supported": [0]}));
    }

    #[test]
    fn the_newest_kernel_s_atlas_is_kept() {
        let workspace = tempfile::tempdir().unwrap();
        fs::create_dir_all(workspace.path().join("book/atlas")).unwrap();
        let of = |release: &str, recording: Option<&str>| Answers {
            facts: Facts { release: release.into(), ..Facts::default() },
            recording: recording.map(String::from),
            ..Answers::default()
        };
        let (old, new) = (of("6.12.1", Some("old")), of("7.3.4", Some("new")));
        let path = keep_atlas(workspace.path(), &[&new, &old]).unwrap().unwrap();
        assert_eq!(fs::read_to_string(workspace.path().join(path)).unwrap(), "new");
        assert_eq!(keep_atlas(workspace.path(), &[&old, &of("7.4.0", None)]).unwrap(), None);
    }

    #[test]
    fn lists_of_numbers_take_one_line_and_stay_the_same() {
        let value =
            json!({"list": [0, 1, -2], "words": ["a", "1"], "empty": [], "deep": {"one": [7]}});
        let text = compact_lists(&serde_json::to_string_pretty(&value).unwrap());
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        assert!(text.contains("\"list\": [0, 1, -2],\n"), "{text}");
        assert!(text.contains("\"one\": [7]\n"), "{text}");
    }
}
