//! `cargo xtask check`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| check::main(&options))
}
