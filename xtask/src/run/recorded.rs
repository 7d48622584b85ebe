//! `cargo xtask run --recorded`: the days, shown from the recordings that the book plays, for a
//! lesson on machines that refuse a ring.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use common::text::{WIDTH, several, wrap};
use serde::Deserialize;
use toolbox::programs;

use super::narration::Narrator;

/// What to look at in a day's recordings.
const LOOK: [(&str, &str); 4] = [
    ("day01", "where the system call is. All the rest is memory."),
    ("day02", "what becomes of an entry while nobody polls the queue."),
    ("day03", "how often the accept is submitted, and how often it completes."),
    ("day04", "how many entries go with one call, and how many answers come back from it."),
];

/// The part of a recording that is shown; `cargo xtask record` made it.
#[derive(Deserialize)]
struct Recording {
    title: String,
    program: String,
    command: String,
    kernel: String,
    steps: Vec<Step>,
    counts: BTreeMap<String, u64>,
}

#[derive(Deserialize)]
struct Step {
    say: String,
    call: Option<String>,
}

/// All recordings, by name.
fn read(folder: &Path) -> Result<Vec<Recording>> {
    let entries = fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    paths.sort();
    let read = |path: &std::path::PathBuf| -> Result<Recording> {
        let text =
            fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} is not a recording", path.display()))
    };
    paths.iter().map(read).collect()
}

/// Prints the recordings of some days, in their order; with `pauses` between them.
///
/// # Errors
/// If a recording is missing or broken.
pub fn tell(days: &[&str], pauses: bool, narrator: &mut Narrator) -> Result<()> {
    let recordings = read(&programs::workspace().join("book/traces"))?;
    for (nth, day) in days.iter().enumerate() {
        if narrator.is_gone() || (pauses && nth > 0 && !narrator.pause(day)) {
            return Ok(());
        }
        let look = LOOK.iter().find(|(name, _)| name == day).map_or("", |(_, look)| look);
        narrator.heading(day, "as it was recorded", look);
        for recording in recordings.iter().filter(|recording| recording.program == *day) {
            tell_one(recording, narrator);
        }
    }
    narrator.space();
    narrator.line(&wrap(
        "These runs were recorded elsewhere. The book plays them as figures: `cargo xtask book \
         build --open`. Where rings are available, `cargo xtask run` runs the days themselves.",
        WIDTH,
        0,
    ));
    Ok(())
}

fn tell_one(recording: &Recording, narrator: &mut Narrator) {
    let Recording { title, command, kernel, .. } = recording;
    narrator.space();
    narrator.line(&format!("{title}, on Linux {kernel}:"));
    narrator.line(command);
    let mut calls = 0;
    for (step, number) in recording.steps.iter().zip(1..) {
        calls += usize::from(step.call.is_some());
        narrator.line(&line(step, number, calls));
    }
    let count = |what: &str| recording.counts.get(what).copied().unwrap_or(0) as usize;
    let (enters, entries, completions) = (count("enters"), count("entries"), count("completions"));
    narrator.line(&wrap(
        &format!(
            "  In all: {}, {} of them io_uring_enter, for {} and {}.",
            several(calls, "system call"),
            enters,
            several(entries, "entry"),
            several(completions, "completion"),
        ),
        WIDTH,
        2,
    ));
}

/// A step with its number, and the system call that begins there, if any.
fn line(step: &Step, number: usize, calls: usize) -> String {
    let call = if step.call.is_some() { format!("call {calls}") } else { String::new() };
    wrap(&format!("{number:>4}  {call:<8} {}", step.say), WIDTH, 15)
}
