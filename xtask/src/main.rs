//! The workspace's tool: `cargo xtask --help` lists what it does. Each task is a module of the
//! library.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use common::environment;
use xtask::{bench, book, check, class, exercise, kernels, learn, record, run, trace};

/// Runs the days of the journal and teaches with them
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
    Learn(learn::Options),
    Exercise(exercise::Options),
    Class(class::Options),
    Record(record::cli::Options),
    Check(check::Options),
    Bench(bench::Options),
    Kernels(kernels::Options),
    Book(book::Options),
}

fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(words) => {
            let printed = words.print().map_err(Into::into);
            let code = u8::try_from(words.exit_code()).unwrap_or(2);
            return match printed {
                Ok(()) => ExitCode::from(code),
                Err(_) => environment::report("cargo xtask", printed),
            };
        }
    };
    match cli.task {
        Task::Run(options) => run::main(&options),
        Task::Trace(options) => trace::main(options),
        Task::Learn(options) => learn::main(&options),
        Task::Exercise(options) => exercise::main(&options),
        Task::Class(options) => class::main(&options),
        Task::Record(options) => record::cli::main(&options),
        Task::Check(options) => check::main(&options),
        Task::Bench(options) => bench::main(&options),
        Task::Kernels(options) => kernels::main(&options),
        Task::Book(options) => book::main(&options),
    }
}
