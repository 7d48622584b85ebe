//! `cargo xtask bench`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| bench::main(&options))
}
