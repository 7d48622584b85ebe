//! The learner's editor.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Opens a file in the learner's editor and waits for the editor to end. An editor with its own
/// window may end at once.
///
/// # Errors
/// If it cannot be started.
pub fn edit(path: &Path) -> Result<()> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let editor = set("VISUAL").or_else(|| set("EDITOR")).unwrap_or_else(a_common_editor);
    // Through a shell, because the command may have arguments: `code --wait`.
    let mut line = editor.clone();
    line.push(" \"$1\"");
    let status = Command::new("sh")
        .arg("-c")
        .arg(&line)
        .arg("sh")
        .arg(path)
        .status()
        .context("starting a shell for the editor")?;
    match status.code() {
        Some(126 | 127) => bail!(
            "the editor {} cannot be started: set VISUAL or EDITOR to another",
            editor.to_string_lossy()
        ),
        _ => Ok(()),
    }
}

fn a_common_editor() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let there = |name: &&str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    ["sensible-editor", "nano", "vi"].into_iter().find(there).unwrap_or("vi").into()
}
