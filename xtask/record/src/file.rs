//! A recording as a file: `book/traces/NAME.json`, one step a line.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use ringtrace::player::recording::Recording;

/// Where a recording lies in the workspace.
pub fn path(workspace: &Path, name: &str) -> PathBuf {
    workspace.join("book/traces").join(format!("{name}.json"))
}

/// Reads a recording.
///
/// # Errors
/// If the file is not there or is not a recording; the error says what to type.
pub fn read(workspace: &Path, name: &str) -> Result<Recording> {
    let path = path(workspace, name);
    let remedy = || {
        format!(
            "no recording in {}\n  try: `git checkout book/traces`, or `cargo xtask record \
             {name}` for a new one",
            path.display()
        )
    };
    let text = std::fs::read_to_string(&path).with_context(remedy)?;
    serde_json::from_str(&text).with_context(remedy)
}

/// Writes it, one step a line, so that a change of one step is a change of one line.
///
/// # Errors
/// If the folder is not writable.
pub fn write(recording: &Recording, workspace: &Path) -> Result<PathBuf> {
    let path = path(workspace, &recording.name);
    let text = to_text(recording)?;
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(path)
}

/// The file's text.
///
/// # Errors
/// Never: everything in it can be written as JSON.
pub fn to_text(recording: &Recording) -> Result<String> {
    let line = |value: &str| serde_json::to_string(value);
    let mut text = String::from("{\n");
    for (name, value) in [
        ("name", &recording.name),
        ("title", &recording.title),
        ("program", &recording.program),
        ("command", &recording.command),
        ("kernel", &recording.kernel),
    ] {
        text += &format!("  \"{name}\": {},\n", line(value)?);
    }
    text +=
        &format!("  \"rings\": {},\n  \"steps\": [\n", serde_json::to_string(&recording.rings)?);
    let steps: Result<Vec<String>, _> = recording.steps.iter().map(serde_json::to_string).collect();
    text += &format!("    {}\n  ],\n", steps?.join(",\n    "));
    text += &format!("  \"counts\": {}\n}}\n", serde_json::to_string(&recording.counts)?);
    Ok(text)
}
