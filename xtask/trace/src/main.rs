//! `ringtrace PROGRAM [ARGS…]`: what crosses a program's rings.

use std::process::ExitCode;

use clap::Parser;
use ringtrace::cli;

fn main() -> ExitCode {
    cli::main(cli::Options::parse())
}
