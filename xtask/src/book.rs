//! `cargo xtask book`: the book, by the program that makes it.
//!
//! mdBook is heavy, so this tool does not link it: it lets Cargo build and run the package `book`.

use std::os::unix::process::CommandExt as _;
use std::process::ExitCode;

use clap::CommandFactory as _;
use common::environment;

use crate::cargo;

#[path = "../../book/tool/options.rs"]
mod options;

pub use options::Cli as Options;

/// Runs the book's own program with the arguments that it was found to understand.
pub fn main(options: &Options) -> ExitCode {
    if options.task.is_none() {
        let printed = Options::command().print_help();
        return environment::report("xtask book", printed.map_err(Into::into));
    }
    let manifest = concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml");
    let mut command = cargo::command();
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
    // What comes after `xtask book`. Cargo, and then the book's program, takes the place of this
    // process, so that a signal reaches it.
    let error = command.args(std::env::args_os().skip(2)).exec();
    eprintln!("error: Cargo cannot be started: {error}\n  run this as `cargo xtask book`");
    ExitCode::FAILURE
}
