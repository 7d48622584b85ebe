//! `cargo xtask kernels` as a separate program.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| kernels::main(&options))
}
