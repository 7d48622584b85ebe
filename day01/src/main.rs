//! Day 01: a greeting through the two rings, and what this kernel can do.
//!
//! Sets up a ring of 8, sends one NOP through it whose `user_data` carries a greeting, and
//! asks the kernel for the operations that it has. Runs from Linux 5.1 on.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;

use crate::operations::Which;
use crate::survey::Survey;

mod operations;
mod print;
mod survey;
#[cfg(test)]
mod tests;

/// Send a greeting through an io_uring, and ask this kernel what it can do
///
/// Describes this machine, sets up a small ring, sends a NOP through it whose user_data
/// carries a greeting, lists the operations that the kernel has, and says which of the four
/// days can run here.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// For each operation its code, the Linux version it came with, and its meaning
    #[arg(long)]
    long: bool,

    /// Which operations to list
    #[arg(long, value_name = "WHICH", value_enum, default_value_t = Which::Have)]
    ops: Which,

    /// Print one JSON object with everything, for programs
    #[arg(long, conflicts_with_all = ["long", "ops"])]
    json: bool,

    /// Print nothing; the exit code says whether a ring is available
    #[arg(long, conflicts_with_all = ["long", "ops", "json"])]
    quiet: bool,
}

fn main() -> ExitCode {
    environment::report("day01", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let survey = Survey::take();
    let text = if options.quiet {
        String::new()
    } else if options.json {
        print::json(&survey)?
    } else {
        print::text(&survey, options.ops, options.long)
    };
    // All at once, and no `println!`: that panics when the reader has gone (`| head`).
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    match survey.refusal {
        Some(refusal) => Err(refusal.into()),
        None => written.context("writing to the standard output"),
    }
}
