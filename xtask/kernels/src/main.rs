//! `cargo xtask kernels`, as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    toolbox::parsed(|options| kernels::main(&options))
}
