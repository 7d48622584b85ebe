//! `cargo xtask book`: the book, by the program that makes it.

use std::process::ExitCode;

use clap::CommandFactory as _;
use common::environment;

use crate::tool;

#[path = "../../book/tool/options.rs"]
mod options;

pub use options::Cli as Options;

/// Runs the book's program with its arguments, which were checked here.
pub fn main(options: &Options) -> ExitCode {
    if options.task.is_none() {
        let printed = Options::command().print_help();
        return environment::report("xtask book", printed.map_err(Into::into));
    }
    // The arguments after `xtask book`.
    tool::run("book", std::env::args_os().skip(2).collect())
}
