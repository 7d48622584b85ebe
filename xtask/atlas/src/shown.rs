//! One entry of the atlas, run under the tracer: its report, and what the record holds of it.

use std::fs::File;
use std::io::{Read as _, Seek as _};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use atlas::{Report, Row};
use common::catalog;
use nix::sys::memfd::{MFdFlags, memfd_create};
use ringtrace::Trace;
use ringtrace::event::{Complete, Event, What};
use ringtrace::launch::Program;
use ringtrace::ran::Place;
use serde::{Deserialize, Serialize};

use crate::programs::Listed;

/// How long an entry may take; most take some milliseconds.
const PATIENCE: Duration = Duration::from_secs(60);

/// The result of an entry; `--json` prints one such object for each.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Shown {
    /// What the entry says: what it asked, and what was answered.
    #[serde(flatten)]
    pub report: Report,
    /// For each row of the report where the operation ran, as the record has it.
    pub ran: Vec<Option<Place>>,
    /// The names of [`Report::shows`] that the record holds.
    pub in_the_record: Vec<String>,
    /// What the report says and the record does not hold.
    pub not_in_the_record: Vec<String>,
}

/// Runs an entry under the tracer.
///
/// # Errors
/// If it cannot be run or traced, or prints no report.
pub fn show(listed: &Listed) -> Result<Shown> {
    let name = &listed.report.name;
    let mut stdout = File::from(memfd_create(c"atlas", MFdFlags::MFD_CLOEXEC)?);
    let program = Program {
        program: listed.program.clone().into_os_string(),
        args: ["--json", name].map(Into::into).to_vec(),
        stdout: Some(stdout.try_clone()?.into()),
        fast: true,
        ..Program::default()
    };
    let trace = Trace::start(program, false, Vec::new())?;
    let deadline = Instant::now() + PATIENCE;
    while !trace.ended() && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(1));
    }
    if !trace.ended() {
        let (_, events) = trace.stop(Duration::ZERO);
        let last = events.iter().rev().find_map(|event| match &event.what {
            What::Submit(submit) => Some(format!("{} {}", submit.op, submit.words)),
            _ => None,
        });
        let failed = format!(
            "it did not end within {} s; the last entry that it submitted: {}",
            PATIENCE.as_secs(),
            last.unwrap_or_else(|| "none".to_string())
        );
        let report = Report { failed: Some(failed), ..listed.report.clone() };
        return Ok(Shown::new(report, &events, true));
    }
    let (outcome, events, _) = trace.finish_with_record();
    if let Some(refusal) = outcome.failure {
        return Err(refusal.into());
    }
    let mut text = String::new();
    stdout.rewind()?;
    stdout.read_to_string(&mut text).context("reading the entry's report")?;
    let Ok(report) = serde_json::from_str::<Report>(&text) else {
        bail!("{name} ended with status {} and printed no report", outcome.status);
    };
    let polled = outcome.summary.unseen_entries + outcome.summary.unseen_completions > 0;
    Ok(Shown::new(report, &events, polled))
}

impl Shown {
    /// Compares a report with the record. In a ring that a kernel thread polls, some entries can go
    /// by `unseen`; their missing rows are no fault.
    fn new(report: Report, events: &[Event], unseen: bool) -> Shown {
        let ran = report.rows.iter().map(|row| completion_of(row, events)?.ran).collect::<Vec<_>>();
        let ran = ran.into_iter().map(|ran| ran.map(|ran| ran.place)).collect();
        let missing = report.rows.iter().filter(|row| !unseen && !is_held(row, events));
        let not_in_the_record =
            missing.map(|row| format!("{} → {}", row.asked, row.answered)).collect();
        let words: Vec<String> = events.iter().map(in_words).collect();
        let held = |name: &&String| is_shown(name, &report, events, &words);
        let in_the_record = report.shows.iter().filter(held).cloned().collect();
        Shown { report, ran, in_the_record, not_in_the_record }
    }

    /// An entry that could not be run or traced, or that printed no report.
    pub fn failed(listed: &Listed, error: &anyhow::Error) -> Shown {
        let failed = Some(format!("{error:#}"));
        Shown::new(Report { failed, ..listed.report.clone() }, &[], true)
    }

    /// What is wrong: the kernel gave an answer that the entry does not expect, or the record lacks
    /// a row.
    pub fn problems(&self) -> Vec<String> {
        let failed = self.report.failed.iter().cloned();
        let lacks = self.not_in_the_record.iter();
        failed.chain(lacks.map(|row| format!("the kernel's record lacks: {row}"))).collect()
    }

    /// Whether the record holds the operation, flag or call that gives the entry its name.
    pub fn is_shown(&self) -> bool {
        self.report.shows.first().is_some_and(|name| self.in_the_record.contains(name))
    }

    /// Whether the operation, flag or call that gives the entry its name could not be shown here.
    pub fn is_left_out(&self) -> bool {
        !self.is_shown() && !self.report.left_out.is_empty()
    }

    /// What the entry showed and no event names, such as bits in a ring's own memory: only the
    /// entry itself confirms it.
    pub fn nameless(&self) -> Vec<&str> {
        if self.is_left_out() || self.report.failed.is_some() {
            return Vec::new();
        }
        let left_out = |name: &str| self.report.left_out.iter().any(|it| it.what == name);
        let in_the_record = |name: &str| self.in_the_record.iter().any(|it| it == name);
        let shows = self.report.shows.iter().map(String::as_str);
        shows.filter(|name| !left_out(name) && !in_the_record(name)).collect()
    }

    /// Where the operation that gives the entry its name succeeded: each place once.
    pub fn places(&self) -> Vec<&'static str> {
        let name = self.report.shows.first();
        let mut places: Vec<&str> = Vec::new();
        for (row, place) in self.report.rows.iter().zip(&self.ran) {
            let of_the_name = row.entry.as_ref().map(|entry| &entry.operation) == name;
            if let (true, None, Some(place)) = (of_the_name, &row.why, place) {
                if !places.contains(&place.name()) {
                    places.push(place.name());
                }
            }
        }
        places
    }
}

/// Whether a name of the catalogue happened, by the record alone.
fn is_shown(name: &str, report: &Report, events: &[Event], words: &[String]) -> bool {
    if report.left_out.iter().any(|left_out| left_out.what == name) {
        return false;
    }
    let Some(fact) = catalog::find(name) else { return false };
    let short = fact.short;
    let setup = |flag: &dyn Fn(&ringtrace::event::Granted) -> &Vec<String>| {
        events.iter().any(|event| match &event.what {
            What::Setup(setup) => setup
                .granted
                .as_ref()
                .is_some_and(|granted| flag(granted).iter().any(|it| it == short)),
            _ => false,
        })
    };
    if name.starts_with("IORING_OP_") {
        let done = |row: &&Row| row.entry.as_ref().is_some_and(|entry| entry.operation == name);
        return report.rows.iter().filter(done).any(|row| {
            row.why.is_none() && (row.result.is_none() || completion_of(row, events).is_some())
        });
    }
    if name.starts_with("IORING_SETUP_") {
        return setup(&|granted| &granted.flags);
    }
    if name.starts_with("IORING_FEAT_") {
        return setup(&|granted| &granted.features);
    }
    if name.starts_with("IORING_REGISTER_") || name.starts_with("IORING_UNREGISTER_") {
        return events.iter().any(|event| match &event.what {
            What::Register(register) => register.op == short && register.result >= 0,
            _ => false,
        });
    }
    // A flag or a value: the record has it where an event names it.
    let is_it = |word: &str| word == short || word == name;
    let in_a_name = |c: char| c.is_alphanumeric() || c == '_';
    words.iter().any(|text| text.split(|c| !in_a_name(c)).any(is_it))
}

/// An event's fields, in which a flag has its name.
fn in_words(event: &Event) -> String {
    serde_json::to_string(event).unwrap_or_default()
}

/// Whether the record holds a row; a row without an entry needs nothing.
fn is_held(row: &Row, events: &[Event]) -> bool {
    let Some(entry) = &row.entry else { return true };
    match row.result {
        Some(_) => completion_of(row, events).is_some(),
        None => events.iter().any(|event| match &event.what {
            What::Submit(submit) => {
                is(&submit.op, &entry.operation) && submit.user_data == hex(entry.user_data)
            }
            _ => false,
        }),
    }
}

/// The completion of a row.
fn completion_of<'events>(row: &Row, events: &'events [Event]) -> Option<&'events Complete> {
    let (entry, result) = (row.entry.as_ref()?, row.result?);
    events.iter().find_map(|event| match &event.what {
        What::Complete(complete)
            if complete.res == result
                && complete.user_data == hex(entry.user_data)
                && complete.op.as_deref().is_none_or(|op| is(op, &entry.operation)) =>
        {
            Some(complete)
        }
        _ => None,
    })
}

/// Whether the tracer's short name of an operation is the header's. An operation that the catalogue
/// does not know has a number for a name.
fn is(short: &str, name: &str) -> bool {
    name.strip_prefix("IORING_OP_").unwrap_or(name) == short
}

/// A `user_data`, as the tracer writes it.
fn hex(user_data: u64) -> String {
    ringtrace::names::hex(user_data)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_record_lacks_is_not_shown() {
        let row = r#"{"kind":"entry","asked":"a NOP","answered":"0","result":0,
                      "entry":{"operation":"IORING_OP_NOP","user_data":1}}"#;
        let report = format!(
            r#"{{"name":"nop","family":"nothing","shows":["IORING_OP_NOP"],"rows":[{row}],
                 "left_out":[]}}"#
        );
        let report: Report = serde_json::from_str(&report).expect("a report");
        let shown = Shown::new(report.clone(), &[], false);
        assert!(!shown.is_shown());
        assert_eq!(shown.problems(), ["the kernel's record lacks: a NOP → 0"]);
        // A ring that a kernel thread polls may be ahead of the record.
        assert!(Shown::new(report, &[], true).problems().is_empty());
    }
}
