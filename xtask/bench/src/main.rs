//! `cargo xtask bench` as a separate program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| bench::main(&options))
}
