//! Where a learner begins, and which exercises are skipped: those before `--from`, and in a test
//! (`--test`) the rest of each day whose test exercise is passed.

use std::collections::BTreeSet;

use anyhow::Result;
use clap::Args;

use crate::exercise::exercises::{Exercise, WrongUsage, find};
use crate::exercise::folders::BEYOND;
use crate::exercise::progress::Progress;

/// The options of the command line.
#[derive(Args, Debug)]
pub struct Begin {
    /// Begin at this exercise, not where you left off
    #[arg(value_name = "NAME")]
    name: Option<String>,

    /// Begin at this day (day1 to day4, or beyond) or exercise, and skip the exercises before it
    ///
    /// You can still choose skipped exercises from the list. `--from day1` skips none.
    #[arg(long, value_name = "DAY|NAME", conflicts_with_all = ["name", "test"])]
    from: Option<String>,

    /// Find out where to begin: one exercise for each day decides whether you skip the day
    ///
    /// If you pass it, the rest of its day is skipped, and the test goes on with the next day. If
    /// you cannot solve it, press n: you start with that day. You can quit at any time:
    /// `cargo xtask learn` continues the test.
    #[arg(long, conflicts_with = "name")]
    test: bool,
}

/// Where to begin. An exercise is its place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Where the learner left off.
    LeftOff,
    /// At this exercise; nothing is skipped.
    At(usize),
    /// At this exercise; those before it are skipped.
    From(usize),
    /// At the first open exercise of the day that begins with this one; those before the day are
    /// skipped.
    FromDay(usize),
    /// With the test, from where the learner left it.
    Test,
}

impl Start {
    /// The start that the command line names.
    ///
    /// # Errors
    /// If there is no such exercise or day, or no test.
    pub fn of(options: &Begin, all: &[Exercise]) -> Result<Start> {
        if let Some(name) = &options.name {
            return Ok(Start::At(place(all, name)?));
        }
        if let Some(from) = &options.from {
            return match day_of(from) {
                Some(day) => Ok(Start::FromDay(first_of(all, day)?)),
                None => Ok(Start::From(place(all, from)?)),
            };
        }
        match options.test {
            false => Ok(Start::LeftOff),
            true if all.iter().any(|exercise| exercise.about.test) => Ok(Start::Test),
            true => Err(WrongUsage::error(
                "there is no test: no exercise has `test = true` in its exercise.toml".to_string(),
            )),
        }
    }
}

/// The day of a name such as `day3` or `beyond`.
fn day_of(name: &str) -> Option<u32> {
    if name == "beyond" { Some(BEYOND) } else { name.strip_prefix("day")?.parse().ok() }
}

fn place(all: &[Exercise], name: &str) -> Result<usize> {
    let name = &find(all, name)?.name;
    Ok(all.iter().take_while(|exercise| exercise.name != *name).count())
}

fn first_of(all: &[Exercise], day: u32) -> Result<usize> {
    all.iter().position(|exercise| exercise.day == day).ok_or_else(|| {
        let days: BTreeSet<u32> = all.iter().map(|exercise| exercise.day).collect();
        let name = |day: &u32| if *day == BEYOND { "beyond".into() } else { format!("day{day}") };
        let days: Vec<String> = days.iter().map(name).collect();
        WrongUsage::error(format!("there is no {}; there are {}", name(&day), days.join(", ")))
    })
}

/// Marks the exercises before this one as skipped unless they are done, and no others.
pub fn skip_before(all: &[Exercise], at: usize, progress: &mut Progress) {
    for (nth, exercise) in all.iter().enumerate() {
        if nth < at && !progress.is_done(&exercise.name) {
            progress.skipped.insert(exercise.name.clone());
        } else {
            progress.skipped.remove(&exercise.name);
        }
    }
}

/// The test of the first day with open exercises whose test is not passed. Skips the days before
/// it. If there is no such day, skips all days with a test.
pub fn next_test(all: &[Exercise], progress: &mut Progress) -> Option<usize> {
    let left = |day: u32| all.iter().any(|it| it.day == day && !progress.is_done(&it.name));
    let decides = |test: &Exercise| !progress.passed.contains(&test.name) && left(test.day);
    let next = all.iter().position(|it| it.about.test && decides(it));
    let last = all.iter().rfind(|it| it.about.test).map_or(0, |it| it.day);
    let day = next.map_or(last + 1, |at| all[at].day);
    let first = all.iter().take_while(|it| it.day < day).count();
    skip_before(all, first, progress);
    next
}
