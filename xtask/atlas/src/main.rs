//! `cargo xtask atlas` as a separate program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| atlas_runner::main(&options))
}
