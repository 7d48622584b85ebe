//! `cargo xtask run`: the days of the journal in order, each as a separate program, with clients
//! that check every answer.

mod client;
mod conversation;
mod day01_day02;
mod day03;
mod day04;
mod narration;
mod quote;
mod recorded;
mod report;
mod stage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Args;
use common::environment;
use serde::Serialize;

use self::narration::Narrator;
use self::report::{Failure, Outcome, Report, Trouble};
use self::stage::Stage;
use toolbox::output::say;
use toolbox::programs::{self, Programs, Source};

/// Run the days in order, against real clients on loopback
///
/// Builds them, plays their clients, and checks every answer. Exit code 0: every day ran and
/// every answer was right. 1: some day failed, or cannot run on this machine.
#[derive(Args)]
pub struct Options {
    /// Run only this day; repeat the option for several
    #[arg(long = "day", value_name = "N", value_parser = clap::value_parser!(u8).range(1..=4))]
    days: Vec<u8>,

    /// Wait for the Enter key between days (on a terminal)
    #[arg(long, conflicts_with = "json")]
    pause: bool,

    /// Build with optimisations
    #[arg(long, conflicts_with = "programs")]
    release: bool,

    /// Run the programs day01 to day04 from this folder and build nothing
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,

    /// Show recorded runs of the days and run nothing: for machines that refuse a ring
    #[arg(long, conflicts_with_all = ["json", "programs", "release"])]
    recorded: bool,

    /// Print one JSON object at the end instead of the narration
    #[arg(long)]
    json: bool,

    /// How long anything may take before it counts as hung
    #[arg(long, value_name = "SECONDS", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: u64,
}

/// A day and its heading.
struct Day {
    number: u8,
    name: &'static str,
    title: &'static str,
    look: &'static str,
    /// The result of a good run.
    facts: &'static str,
    run: fn(&mut Stage<'_>) -> Result<(), Trouble>,
}

const DAYS: [Day; 4] = [
    Day {
        number: 1,
        name: "day01",
        title: "a ring, and one operation that does nothing",
        look: "the greeting that travels in user_data, and what this kernel can do.",
        facts: "a ring, a greeting through it, what this kernel can do",
        run: day01_day02::run,
    },
    Day {
        number: 2,
        name: "day02",
        title: "what is asked and what is granted",
        look: "the numbers on both sides of each arrow, and how few system calls it takes.",
        facts: "rings of many kinds, asked and granted",
        run: day01_day02::run,
    },
    Day {
        number: 3,
        name: "day03",
        title: "more clients than slots",
        look: "who is served and who waits. Nobody is turned away. (Some wait in a spare slot \
               already: that is why slot numbers go past 3.)",
        facts: "10 clients through 4 slots, each greeted, nobody lost",
        run: day03::run,
    },
    Day {
        number: 4,
        name: "day04",
        title: "accept, receive, answer, close",
        look: "one answer for each request whatever its size, and an end-of-file after the \
               last, never a reset.",
        facts: "every request answered in full, every end clean",
        run: day04::run,
    },
];

/// The object that `--json` prints.
#[derive(Serialize)]
struct Printed<'a> {
    /// The kernel's release.
    kernel: String,
    days: &'a [Report],
}

/// Runs the days and reports the results.
pub fn main(options: &Options) -> ExitCode {
    match run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => environment::report("xtask run", Err(error)),
    }
}

fn run(options: &Options) -> Result<bool> {
    let wanted = |day: &&Day| options.days.is_empty() || options.days.contains(&day.number);
    let days: Vec<&Day> = DAYS.iter().filter(wanted).collect();
    let names: Vec<&str> = days.iter().map(|day| day.name).collect();
    if options.recorded {
        let mut narrator = Narrator::stdout();
        recorded::tell(&names, options.pause, &mut narrator)?;
        return narrator.end().map(|()| true);
    }
    let source = match &options.programs {
        Some(folder) => Source::Folder(folder),
        None => Source::Build { release: options.release, quiet: options.json },
    };
    let programs = programs::find(&source, &names)
        .context("building the days (`--programs FOLDER` runs days that are built already)")?;

    let mut narrator = if options.json { Narrator::silent() } else { Narrator::stdout() };
    let reports = run_days(&days, &programs, options, &mut narrator);
    if options.json {
        let result = Printed { kernel: environment::kernel_release(), days: &reports };
        say(&serde_json::to_string(&result)?)?;
    } else {
        narrator.summary(&reports);
    }
    narrator.end()?;
    Ok(reports.iter().all(Report::is_good))
}

fn run_days(
    days: &[&'static Day],
    programs: &Programs,
    options: &Options,
    narrator: &mut Narrator,
) -> Vec<Report> {
    let mut reports: Vec<Report> = Vec::new();
    for day in days {
        if narrator.is_gone() {
            break;
        }
        if let Some(reason) = not_worth_trying(&reports) {
            let outcome = Outcome::NotTried { reason };
            reports.push(Report { day: day.name, outcome, dropped: Vec::new() });
            continue;
        }
        if options.pause && !reports.is_empty() && !narrator.pause(day.name) {
            break;
        }
        narrator.heading(day.name, day.title, day.look);
        reports.push(run_day(day, programs, options, narrator));
    }
    reports
}

/// Without a ring no day can run, so day 01's explanation is enough.
fn not_worth_trying(reports: &[Report]) -> Option<String> {
    let first = reports.first()?;
    let refused = first.day == "day01" && matches!(first.outcome, Outcome::Refused { .. });
    refused.then(|| "day01 had no ring".to_string())
}

fn run_day(
    day: &'static Day,
    programs: &Programs,
    options: &Options,
    narrator: &mut Narrator,
) -> Report {
    let Some(program) = programs.get(day.name) else {
        let failure = missing(day.name, options);
        narrator.trouble(day.name, &failure.clone().into());
        return Report { day: day.name, outcome: Outcome::Failed(failure), dropped: Vec::new() };
    };
    let mut stage = Stage {
        day: day.name,
        program,
        narrator,
        patience: Duration::from_secs(options.patience),
        dropped: Vec::new(),
    };
    let ended = (day.run)(&mut stage);
    let dropped = stage.dropped;
    let outcome = match ended {
        Ok(()) => Outcome::Ran { facts: day.facts.to_string() },
        Err(trouble) => {
            narrator.trouble(day.name, &trouble);
            match trouble {
                Trouble::Refused(reason) => Outcome::Refused { reason },
                Trouble::Failed(failure) => Outcome::Failed(failure),
            }
        }
    };
    Report { day: day.name, outcome, dropped }
}

fn missing(day: &str, options: &Options) -> Failure {
    match &options.programs {
        Some(folder) => Failure::new(
            "looking for its program",
            format!("a file {}", folder.join(day).display()),
            "none",
        ),
        None => Failure::new(
            "building it",
            "a program",
            format!("errors, which `cargo build -p {day}` shows"),
        ),
    }
}
