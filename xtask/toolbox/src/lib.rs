//! What the tools of this workspace share: [`programs`], the days' programs, built by [`cargo`];
//! [`debian`], packages by name; [`output`], lines for the terminal; and how a tool begins.

pub mod cargo;
pub mod debian;
pub mod output;
pub mod programs;

use std::process::ExitCode;

use clap::Parser;
use common::environment;

/// Runs a tool on its command line. If that is wrong, prints why, or prints the help: a reader that
/// has gone away (`--help | head`) is not a failure.
pub fn parsed<Options: Parser>(tool: impl FnOnce(Options) -> ExitCode) -> ExitCode {
    let words = match Options::try_parse() {
        Ok(options) => return tool(options),
        Err(words) => words,
    };
    match words.print() {
        Ok(()) => ExitCode::from(u8::try_from(words.exit_code()).unwrap_or(2)),
        Err(error) => environment::report("cargo xtask", Err(error.into())),
    }
}
