//! `cargo xtask learn`, `exercise` and `class`, as a program of its own.

use std::process::ExitCode;

use clap::Parser;
use grader::{class, exercise, learn};

/// The exercises, for a learner, a script and a teacher
#[derive(Parser)]
#[command(name = "grader", bin_name = "cargo xtask")]
enum Task {
    Learn(learn::Options),
    Exercise(exercise::Options),
    Class(class::Options),
    /// Judge one program in isolation
    #[command(hide = true)]
    Judge,
}

fn main() -> ExitCode {
    toolbox::parsed(|task| match task {
        Task::Learn(options) => learn::main(&options),
        Task::Exercise(options) => exercise::main(&options),
        Task::Class(options) => class::main(&options),
        Task::Judge => class::judge::main(),
    })
}
