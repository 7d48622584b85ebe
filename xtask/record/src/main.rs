//! `cargo xtask record` as a separate program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| recorder::cli::main(&options))
}
