//! What a command writes, and where it goes.

use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use anyhow::{Context, Result};
use common::text::WIDTH;

/// Prints a line.
///
/// # Errors
/// If it cannot be written: the disk is full, or the reader has gone away, which
/// `common::environment::report` takes for a good end.
pub fn say(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}").and_then(|()| out.flush()).context("writing to the standard output")
}

/// Shows on a terminal how far the work is, on a line that the next one replaces; "" removes it.
pub fn progress(text: &str) {
    if io::stderr().is_terminal() {
        // A longer line would take two rows, and the next one could not replace it.
        let line: String = text.chars().take(WIDTH - 1).collect();
        let _ = write!(io::stderr(), "\r\x1b[K{line}");
    }
}

/// Makes sure that a file can be written, before the work that fills it. What is in it stays.
///
/// # Errors
/// If it cannot.
pub fn writable(path: &Path) -> Result<()> {
    let opened = OpenOptions::new().append(true).create(true).open(path);
    opened.map(drop).with_context(|| format!("writing {}", path.display()))
}
