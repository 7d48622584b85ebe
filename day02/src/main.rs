//! Day 02: what you ask of the kernel when you set a ring up, and what it grants.
//!
//! Without ring options it tries them all on this kernel, step by step. With any it sets up
//! exactly that ring, or says which rule the request breaks.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::environment::{self, Refusal};
use common::ring::{Granted, RingOptions, SetupFlags};
use serde_json::json;

use crate::report::Report;

mod one_ring;
mod report;
mod steps;
#[cfg(test)]
mod tests;

/// Ask the kernel for rings, and see what it grants
///
/// Without ring options: a walk through all of them. With any: exactly that ring, or the rule
/// that the request breaks.
#[derive(Parser)]
#[command(version)]
struct Options {
    #[command(flatten)]
    ring: RingOptions,

    #[command(flatten)]
    flags: SetupFlags,

    /// Register the ring's own descriptor (Linux 5.18)
    #[arg(long)]
    register_ring_fd: bool,

    /// Register a sparse table of N empty slots (Linux 5.19)
    #[arg(long, value_name = "N")]
    slots: Option<u32>,

    /// Say what each feature of the kernel means
    #[arg(long)]
    long: bool,

    /// Print one JSON object with everything, for programs
    #[arg(long, conflicts_with = "long")]
    json: bool,

    /// Print nothing; the exit code says whether the ring is available
    #[arg(long, conflicts_with_all = ["long", "json"])]
    quiet: bool,
}

fn main() -> ExitCode {
    environment::report("day02", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let report = if options.ask_for_a_ring() { one_ring::ring(options) } else { walk() };
    let written = print(options, &report);
    report?;
    written.context("writing to the standard output")
}

/// Each step sets up rings of its own. One whose flags this kernel lacks says so, and the
/// walk goes on.
fn walk() -> Result<Report> {
    // If not even this one is granted, there is nothing to walk through.
    let features = Granted::of(&steps::plain_ring()?).features;
    let steps = vec![
        steps::sizes(),
        steps::poller()?,
        steps::task_run()?,
        steps::registered_ring()?,
        steps::slots()?,
    ];
    Ok(Report::new(None, steps, features))
}

impl Options {
    fn ask_for_a_ring(&self) -> bool {
        self.ring != RingOptions::default()
            || self.flags != SetupFlags::default()
            || self.register_ring_fd
            || self.slots.is_some()
    }
}

/// Prints all at once. (`println!` panics when the reader has gone, as in `| head`.) The words
/// about an error go to stderr, at the end of `main`.
fn print(options: &Options, report: &Result<Report>) -> io::Result<()> {
    let text = match report {
        Ok(report) if options.json => serde_json::to_string(report)? + "\n",
        Ok(report) if !options.quiet => report.text(options.long),
        Err(error) if options.json => {
            let refusal = error.downcast_ref::<Refusal>();
            let kernel = environment::kernel_release();
            json!({ "kernel": kernel, "refusal": refusal }).to_string() + "\n"
        }
        _ => String::new(),
    };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()
}
