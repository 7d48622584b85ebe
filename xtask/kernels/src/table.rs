//! The table: kernel by day, and below it what the marks stand for.

use std::collections::{BTreeMap, BTreeSet};

use common::text::{WIDTH, wrap};

use super::atlas::{self, Shown};
use super::outcome::{Answers, DayReport, Outcome};
use super::predict;

/// One kernel's row.
pub struct Row {
    /// Its name: its release, or its file if the kernel never printed the release.
    pub kernel: String,
    /// How its boot ended.
    pub result: Result<Answers, String>,
}

impl Row {
    /// The differences from the prediction, in whole sentences.
    pub fn differences(&self) -> Vec<String> {
        match &self.result {
            Err(trouble) => vec![trouble.clone()],
            Ok(answers) => {
                let mut all = predict::differences(&answers.facts);
                all.extend(DAYS.iter().filter_map(|day| {
                    match answers.days.iter().find(|report| report.day == *day) {
                        Some(report) => predict::difference(report, &answers.facts),
                        None => Some(format!("{day} was not reported")),
                    }
                }));
                all.extend(predict::broken_promises(&answers.printed, &answers.days));
                all.extend(answers.exercises.iter().filter_map(predict::unproved));
                let problem = |shown| atlas::problem(shown, &answers.facts.release);
                all.extend(answers.atlas.iter().filter_map(problem));
                all
            }
        }
    }
}

const DAYS: [&str; 4] = ["day01", "day02", "day03", "day04"];

/// Renders the table. Ends with a line that says whether all is as predicted.
pub fn render(rows: &[Row]) -> String {
    let mut notes = Notes::default();
    let mut lines = vec![["kernel"].iter().chain(&DAYS).map(ToString::to_string).collect()];
    for row in rows {
        let mut line = vec![row.kernel.clone()];
        line.extend(DAYS.map(|day| match &row.result {
            Ok(answers) => cell(answers.days.iter().find(|report| report.day == day), &mut notes),
            Err(_) => "?".to_string(),
        }));
        lines.push(line);
    }
    let news: String = rows.iter().map(news).collect();
    let exercises: String = rows.iter().map(exercises).collect();
    columns(&lines) + &notes.render() + &news + &exercises + &atlas(rows) + &verdict(rows)
}

/// How many of the exercises' programs got the stated verdict, and what could not be observed and
/// why.
fn exercises(row: &Row) -> String {
    let Ok(Answers { exercises, .. }) = &row.result else { return String::new() };
    if exercises.is_empty() {
        return String::new();
    }
    let right = exercises.iter().filter(|proof| proof.got == proof.expected).count();
    let all = exercises.len();
    let text = format!("{}: {right} of {all} of the exercises' programs as stated", row.kernel);
    let mut text = format!("\n{}\n", wrap(&text, WIDTH, 2));
    let mut unseen: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for proof in exercises.iter().filter(|proof| predict::is_unseen(proof)) {
        let name = proof.program.split("--").next().unwrap_or_default();
        let why = proof.words.as_deref().unwrap_or_default().replace(&format!("{name} "), "");
        unseen.entry(why).or_default().insert(name);
    }
    for (why, names) in unseen {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        text += &format!("{}\n", wrap(&format!("  not observed: {names}: {why}"), WIDTH, 4));
    }
    text
}

/// What was shown of the atlas, and what was left out.
fn atlas(rows: &[Row]) -> String {
    let shown = rows.iter().filter_map(|row| Some((row, row.result.as_ref().ok()?)));
    let all: Vec<(&str, &[Shown])> = shown
        .filter(|(_, answers)| !answers.atlas.is_empty())
        .map(|(row, answers)| (row.kernel.as_str(), answers.atlas.as_slice()))
        .collect();
    if all.is_empty() { String::new() } else { format!("\n{}", atlas::text(&all)) }
}

/// Pads each column to its widest cell.
fn columns(lines: &[Vec<String>]) -> String {
    let width = |column: usize| {
        lines.iter().map(|line| line[column].chars().count()).max().unwrap_or_default()
    };
    let widths: Vec<usize> = (0..=DAYS.len()).map(width).collect();
    let pad = |line: &Vec<String>| {
        let cells = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_string() + "\n"
    };
    lines.iter().map(pad).collect()
}

fn cell(report: Option<&DayReport>, notes: &mut Notes) -> String {
    let Some(report) = report else { return "?".to_string() };
    match &report.outcome {
        Outcome::Ran { .. } if report.dropped.is_empty() => "ran".to_string(),
        Outcome::Ran { .. } => {
            format!(
                "fallback [{}]",
                notes.number(&format!("ran without {}", report.dropped.join(", ")))
            )
        }
        Outcome::Refused { reason } => {
            let name = format!("{}: ", report.day);
            let words = reason.strip_prefix(&name).unwrap_or(reason);
            format!("refused [{}]", notes.number(words))
        }
        Outcome::Failed { .. } => "FAILED".to_string(),
        Outcome::NotTried { .. } => "not tried".to_string(),
    }
}

/// Each text once, numbered in the order of their appearance.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn number(&mut self, text: &str) -> usize {
        let text = text.trim_end();
        match self.0.iter().position(|note| note == text) {
            Some(at) => at + 1,
            None => {
                self.0.push(text.to_string());
                self.0.len()
            }
        }
    }

    fn render(&self) -> String {
        let mut text = String::new();
        for (number, note) in (1..).zip(&self.0) {
            let mut lines = note.lines();
            let first = format!("[{number}] {}", lines.next().unwrap_or_default());
            text += &format!("\n{}", wrap(&first, WIDTH, 4));
            for line in lines {
                let margin = line.len() - line.trim_start().len();
                text += &format!("\n{}", wrap(&format!("    {line}"), WIDTH, 4 + margin + 5));
            }
        }
        if text.is_empty() { text } else { text + "\n" }
    }
}

/// A kernel's features that the catalogue does not know.
fn news(row: &Row) -> String {
    let Ok(answers) = &row.result else { return String::new() };
    let news = predict::news(&answers.facts);
    if news.is_empty() {
        return String::new();
    }
    let text = format!("{} has what the catalogue does not know: {}", row.kernel, news.join(", "));
    format!("\n{}\n", wrap(&text, WIDTH, 2))
}

fn verdict(rows: &[Row]) -> String {
    let differences: Vec<String> = rows
        .iter()
        .flat_map(|row| row.differences().into_iter().map(move |what| (row, what)))
        .map(|(row, what)| format!("  {}: {what}", row.kernel))
        .collect();
    if differences.is_empty() {
        let kernels = if rows.len() == 1 { "kernel" } else { "kernels" };
        return format!(
            "\n{} {kernels}: all as the catalogue and the fallback rules predict\n",
            rows.len()
        );
    }
    let mut text = "\nNot as the catalogue and the fallback rules predict:\n".to_string();
    for difference in differences {
        // The last lines of a console are printed as they are.
        let (first, rest) = difference.split_once('\n').unwrap_or((&difference, ""));
        text += &format!("{}\n", wrap(first, WIDTH, 4));
        if !rest.is_empty() {
            text += &format!("{rest}\n");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::facts::{Facts, sample};
    use crate::outcome::Printed;

    const REFUSAL: &str = "the kernel refused a sparse table of 38 slots: EINVAL\n  why: sparse \
        tables, and multishot accepts into them, came with Linux 5.19; this is 5.10.0\n  try: a \
        kernel of 5.19 or later; day01 and day02 run on older ones";

    fn report(day: &str, outcome: Outcome, dropped: &[&str]) -> DayReport {
        let dropped = dropped.iter().map(ToString::to_string).collect();
        DayReport { day: day.to_string(), outcome, dropped }
    }

    fn ran() -> Outcome {
        Outcome::Ran { facts: "all of it".to_string() }
    }

    fn row(facts: Facts, last_two: [DayReport; 2]) -> Row {
        let ready = |report: &DayReport| !matches!(report.outcome, Outcome::Refused { .. });
        let mut days = vec![report("day01", ran(), &[]), report("day02", ran(), &[])];
        days.extend(last_two);
        let promises: Vec<_> =
            days.iter().map(|day| json!({"name": day.day, "ready": ready(day)})).collect();
        let printed = vec![Printed { day: "day01".into(), json: json!({"days": promises}) }];
        Row {
            kernel: facts.release.clone(),
            result: Ok(Answers { facts, days, printed, ..Answers::default() }),
        }
    }

    fn servers(outcome: impl Fn(&str) -> Outcome, dropped: &[&str]) -> [DayReport; 2] {
        ["day03", "day04"].map(|day| report(day, outcome(day), dropped))
    }

    #[test]
    fn kernels_that_do_as_predicted() {
        let refuses = |day: &str| Outcome::Refused { reason: format!("{day}: {REFUSAL}") };
        let mut newest = sample("250.1.0");
        newest.operations.push(200);
        let rows = [
            row(sample("5.10.0-46-cloud-amd64"), servers(refuses, &[])),
            row(sample("6.1.0-50-cloud-amd64"), servers(|_| ran(), &["IORING_SETUP_NO_SQARRAY"])),
            row(sample("6.12.107+deb13-cloud-amd64"), servers(|_| ran(), &[])),
            row(newest, servers(|_| ran(), &[])),
        ];
        insta::assert_snapshot!(render(&rows));
    }

    #[test]
    fn kernels_that_do_not() {
        let fails = |_: &str| Outcome::Failed {
            during: "client 1".into(),
            expected: "the end-of-file".into(),
            got: "nothing in time".into(),
        };
        let mut wrong = sample("6.12.107");
        wrong.operations.retain(|code| *code != 57);
        let panicked = "the kernel panicked: not syncing: no init; its last words (all of them: \
                        target/kernels/6.6.log):\n    Run /kernels as init process\n    panic";
        let rows = [
            row(wrong, servers(|_| ran(), &[])),
            row(sample("6.1.0"), servers(fails, &[])),
            Row { kernel: "6.6.3".into(), result: Err(panicked.into()) },
        ];
        insta::assert_snapshot!(render(&rows));
    }

    #[test]
    fn no_line_is_wider_than_a_terminal() {
        let refuses = |_: &str| Outcome::Refused { reason: REFUSAL.into() };
        let rows = [row(sample("6.12.107+deb13-cloud-amd64"), servers(refuses, &[]))];
        for line in render(&rows).lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }
}
