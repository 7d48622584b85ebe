//! `cargo xtask atlas`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| atlas_runner::main(&options))
}
