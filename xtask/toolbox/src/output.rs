//! What a command writes, and where it goes.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use anyhow::{Context, Result};

/// Prints a line.
///
/// # Errors
/// If it cannot be written: the disk is full, or the reader has gone away, which
/// `common::environment::report` takes for a good end.
pub fn say(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("writing to the standard output")
}

/// Makes sure that a file can be written, before the work that fills it. What is in it stays.
///
/// # Errors
/// If it cannot.
pub fn writable(path: &Path) -> Result<()> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).with_context(|| format!("writing {}", path.display()))
}
