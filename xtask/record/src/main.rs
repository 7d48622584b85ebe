//! `cargo xtask record`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| recorder::cli::main(&options))
}
