//! `cargo xtask check` as a separate program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| check::main(&options))
}
