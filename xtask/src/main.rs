//! The workspace's tool: `cargo xtask --help` lists what it does. It runs the days itself; every
//! other task is a separate program, in a folder beside this one.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::tool::Words;
use xtask::{book, run, trace};

/// Runs the days of the journal and the tools to learn from them
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    Run(run::Options),
    Trace(trace::Options),
    /// Show every operation, setup flag and register call live, counted by the kernel's record
    Atlas(Words),
    /// Work through the exercises, checked whenever you save
    Learn(Words),
    /// The exercises of the four days, checked by what the kernel saw
    Exercise(Words),
    /// Check the workbooks of a class: which exercises each student passed, and the next step
    Class(Words),
    /// Record the runs that the book plays
    Record(Words),
    /// Check format, lints, words, dependencies and the book's pages, before a commit
    Check(Words),
    /// Measure day 04 and its ladder against servers without a ring
    Bench(Words),
    /// Run the days on other kernels, booted under emulation
    Kernels(Words),
    Book(book::Options),
}

fn main() -> ExitCode {
    toolbox::parsed(|cli: Cli| match cli.task {
        Task::Run(options) => run::main(&options),
        Task::Trace(options) => trace::main(&options),
        Task::Atlas(words) => words.for_package("atlas-runner"),
        Task::Learn(words) => words.for_grader("learn"),
        Task::Exercise(words) => words.for_grader("exercise"),
        Task::Class(words) => words.for_grader("class"),
        Task::Record(words) => words.for_package("recorder"),
        Task::Check(words) => words.for_package("check"),
        Task::Bench(words) => words.for_package("bench"),
        Task::Kernels(words) => words.for_package("kernels"),
        Task::Book(options) => book::main(&options),
    })
}
