//! The command.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment;
use common::text::{WIDTH, plural, wrap};

use super::compare::{self, Difference};
use super::file;
use super::scenarios::{ALL, Scenario};
use super::{Recorded, record};
use ringtrace::player::recording::Recording;
use toolbox::output::say;
use toolbox::programs::{self, Programs, Source};

/// Record the runs that the book's ring player plays
///
/// Runs the days' programs under the tracer, with clients on loopback, and writes
/// book/traces/NAME.json. With --check it writes nothing, but says whether a run on this machine
/// has the same steps as the recording.
#[derive(Parser, Debug)]
#[command(name = "record", bin_name = "cargo xtask record")]
pub struct Options {
    /// nop, sqpoll, accept, request or batch; without a name all of them
    #[arg(value_name = "NAME", value_parser = scenario)]
    names: Vec<&'static Scenario>,

    /// Compare a new run with the recording, and write nothing
    #[arg(long)]
    check: bool,

    /// Print a new run as JSON, one line each, and write nothing
    #[arg(long, conflicts_with = "check")]
    print: bool,

    /// How long anything may take before it counts as hung
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

fn scenario(name: &str) -> Result<&'static Scenario, String> {
    const KNOWN: &[Scenario] = &ALL;
    KNOWN.iter().find(|scenario| scenario.name == name).ok_or_else(|| {
        let names: Vec<&str> = KNOWN.iter().map(|scenario| scenario.name).collect();
        format!("there are {}", names.join(", "))
    })
}

/// The result of a check.
#[derive(Debug)]
pub enum Checked {
    /// The same steps.
    Same,
    /// This kernel cannot show what the recording shows, and why.
    Skipped(String),
    /// Other steps.
    Differs(Difference),
}

/// How often a scenario is run until it matches the recording: a busy machine may wake the polling
/// thread late, or split a batch. A program with other steps has them every time.
const TRIES: usize = 5;

/// Runs the command.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => environment::report("xtask record", Err(error)),
    }
}

fn run(options: &Options) -> Result<bool> {
    const KNOWN: &[Scenario] = &ALL;
    let scenarios: Vec<&Scenario> = match options.names.as_slice() {
        [] => KNOWN.iter().collect(),
        names => names.to_vec(),
    };
    let patience = Duration::from_secs(options.patience);
    let programs = build(&scenarios)?;
    let mut good = true;
    for scenario in scenarios {
        let (line, well) = if options.check {
            told(scenario, &check(scenario, &programs, patience)?)
        } else if options.print {
            (serde_json::to_string(&told_or_refused(scenario, &programs, patience)?)?, true)
        } else {
            (write(scenario, &programs, patience)?, true)
        };
        good &= well;
        say(&line)?;
    }
    Ok(good)
}

/// Builds the programs of some scenarios.
///
/// # Errors
/// If Cargo cannot be started.
pub fn build(scenarios: &[&Scenario]) -> Result<Programs> {
    let mut days: Vec<&str> = scenarios.iter().map(|scenario| scenario.program).collect();
    days.dedup();
    programs::find(&Source::Build { release: false, quiet: true }, &days)
}

fn write(scenario: &Scenario, programs: &Programs, patience: Duration) -> Result<String> {
    let recording = told_or_refused(scenario, programs, patience)?;
    let path = file::write(&recording, &programs::workspace())?;
    let count = |what: &str, one: &str| {
        plural(recording.counts.get(what).copied().unwrap_or_default(), one)
    };
    Ok(format!(
        "{:<8}  {} steps: {}, {} → {}",
        scenario.name,
        recording.steps.len(),
        count("enters", "enter"),
        count("completions", "completion"),
        path.file_name().unwrap_or_default().to_string_lossy(),
    ))
}

/// A new run, if the program did not refuse.
fn told_or_refused(
    scenario: &Scenario,
    programs: &Programs,
    patience: Duration,
) -> Result<Recording> {
    match fresh(scenario, programs, patience)? {
        Recorded::Told(recording) => Ok(recording),
        Recorded::Refused(words) => bail!("{} cannot be recorded here\n{words}", scenario.name),
    }
}

fn fresh(scenario: &Scenario, programs: &Programs, patience: Duration) -> Result<Recorded> {
    let program = programs.get(scenario.program).with_context(|| {
        format!("{0} could not be built\n  try: `cargo build -p {0}` by itself", scenario.program)
    })?;
    record(scenario, program, patience).with_context(|| format!("recording {}", scenario.name))
}

/// Runs a scenario and compares it with its recording.
///
/// # Errors
/// If there is no recording, or the scenario cannot be played to its end.
pub fn check(scenario: &Scenario, programs: &Programs, patience: Duration) -> Result<Checked> {
    let recorded = file::read(&programs::workspace(), scenario.name)?;
    if let Some(difference) = compare::contradiction(&recorded) {
        return Ok(Checked::Differs(difference));
    }
    let mut last = None;
    for _ in 0..TRIES {
        let fresh = match fresh(scenario, programs, patience) {
            Ok(Recorded::Told(fresh)) => fresh,
            Ok(Recorded::Refused(words)) => return Ok(Checked::Skipped(words)),
            Err(error) => {
                last = Some(Err(error));
                continue;
            }
        };
        let lacking = compare::lacks(&recorded, &fresh.rings);
        if !lacking.is_empty() {
            return Ok(Checked::Skipped(format!("this kernel lacks {}", lacking.join(", "))));
        }
        match compare::difference(&recorded, &fresh) {
            None => return Ok(Checked::Same),
            Some(difference) => last = Some(Ok(Checked::Differs(difference))),
        }
    }
    last.unwrap_or(Ok(Checked::Same))
}

/// The result of a check in words, and whether it is good.
fn told(scenario: &Scenario, checked: &Checked) -> (String, bool) {
    let name = scenario.name;
    match checked {
        Checked::Same => (format!("{name:<8}  has the same steps"), true),
        Checked::Skipped(why) => (wrap(&format!("{name:<8}  SKIPPED: {why}"), WIDTH, 10), true),
        Checked::Differs(Difference { step, recorded, fresh }) => {
            let lines = [
                match step {
                    0 => format!("{name:<8}  DIFFERS before its steps"),
                    step => format!("{name:<8}  DIFFERS at step {step}"),
                },
                format!("  recorded: {recorded}"),
                format!("  new run:  {fresh}"),
                format!("  try:      `cargo xtask record {name}`, if the new run is right"),
            ];
            (lines.map(|line| wrap(&line, WIDTH, 12)).join("\n"), false)
        }
    }
}
