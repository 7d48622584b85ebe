//! Cargo: how to call it, and the JSON lines that it prints.

use std::path::PathBuf;
use std::process::Command;

use serde::Deserialize;

/// The Cargo that runs this tool, or the one of the search path.
pub fn command() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// A line of `cargo build --message-format json` about a target: it was built, or the compiler has
/// a message about it.
#[derive(Debug, Deserialize)]
pub struct Message {
    /// What is built.
    pub target: Target,
    /// The executable that was built, if there is one.
    pub executable: Option<PathBuf>,
    /// All files that were built.
    #[serde(default)]
    pub filenames: Vec<PathBuf>,
    /// The compiler's message.
    pub message: Option<Diagnostic>,
}

/// A library, a program, an example ….
#[derive(Debug, Deserialize)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// `lib`, `bin`, `example` ….
    pub kind: Vec<String>,
}

impl Target {
    /// Whether it is of that kind.
    pub fn is(&self, kind: &str) -> bool {
        self.kind.first().is_some_and(|first| first == kind)
    }
}

/// An error or a warning.
#[derive(Debug, Deserialize)]
pub struct Diagnostic {
    /// `error`, `warning` ….
    pub level: String,
    /// As the compiler prints it.
    pub rendered: Option<String>,
}

/// The messages about targets.
pub fn messages(output: &str) -> impl Iterator<Item = Message> {
    output.lines().filter_map(|line| serde_json::from_str(line).ok())
}
