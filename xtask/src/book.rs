//! `cargo xtask book`: the book, by the program that makes it.
//!
//! mdBook is heavy, so this tool does not link it: it lets Cargo build and run the package `book`.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

/// The book: build it, serve it, check it
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Options {
    /// build, serve, check or record, and their flags: `cargo xtask book --help`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "TASK")]
    arguments: Vec<OsString>,
}

/// Runs the book's own program.
pub fn main(options: &Options) -> ExitCode {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = Command::new(cargo);
    command.args([
        "run",
        "--quiet",
        "--locked",
        "--package",
        "book",
        "--manifest-path",
        manifest,
        "--",
    ]);
    if options.arguments.is_empty() {
        command.arg("--help");
    }
    match command.args(&options.arguments).status() {
        Ok(status) => {
            ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("error: Cargo cannot be started: {error}\n  run this as `cargo xtask book`");
            ExitCode::FAILURE
        }
    }
}
