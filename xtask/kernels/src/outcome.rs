//! The results of the days inside, from `cargo xtask run --json`.

use ::atlas::Recording;
use anyhow::{Context, Result, ensure};
use common::catalog::Kernel;
use grader::exercise::verify::{Proof, Proofs};
use serde::Deserialize;

use super::answers::{self, Asked, OfKernel};
use super::atlas::{self, Shown};
use super::console::{Console, Message, Ran, one_line};
use super::facts::Facts;

/// A kernel's answers.
#[derive(Debug, Default)]
pub struct Answers {
    /// Its features.
    pub facts: Facts,
    /// The results of the days, in order.
    pub days: Vec<DayReport>,
    /// What day01 and day02 printed with `--json`.
    pub printed: Vec<Printed>,
    /// The results of the exercises' programs; empty if they did not run.
    pub exercises: Vec<Proof>,
    /// The entries of the atlas, if it was shown.
    pub atlas: Vec<Shown>,
    /// Its answers to the programs of the chapters, if they ran.
    pub asked: Vec<Asked>,
    /// A recording of the atlas for the book, if one was wanted.
    pub recording: Option<String>,
}

impl Answers {
    /// What the programs of the chapters asked, and this kernel's answers.
    pub fn of_kernel(&self) -> Option<OfKernel> {
        Some((Kernel::parse(&self.facts.release)?, self.asked.clone()))
    }
}

/// One object that a day printed.
#[derive(Debug)]
pub struct Printed {
    /// `day01`.
    pub day: String,
    /// The object.
    pub json: serde_json::Value,
}

/// The result of one day.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct DayReport {
    /// The program's name.
    pub day: String,
    /// How it ended.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Setup flags that the kernel refused and that the day did without.
    #[serde(default)]
    pub dropped: Vec<String>,
}

/// How a day ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It ran, and every answer was right.
    Ran {
        /// What it did.
        facts: String,
    },
    /// It reports that it cannot run on this kernel.
    Refused {
        /// Its own words.
        reason: String,
    },
    /// It did something wrong.
    Failed {
        /// What was being tried.
        during: String,
        /// What should have come.
        expected: String,
        /// What came instead.
        got: String,
    },
    /// It was not started.
    NotTried {
        /// Why not.
        reason: String,
    },
}

impl DayReport {
    /// What it did, after the word "it".
    pub fn in_words(&self) -> String {
        match &self.outcome {
            Outcome::Ran { .. } if self.dropped.is_empty() => {
                "ran with nothing left out".to_string()
            }
            Outcome::Ran { .. } => format!("ran without {}", self.dropped.join(", ")),
            Outcome::Refused { reason } => format!("refused: {}", one_line(reason)),
            Outcome::Failed { during, expected, got } => {
                format!("failed, {during}: expected {expected}, got {}", one_line(got))
            }
            Outcome::NotTried { reason } => format!("was not tried: {reason}"),
        }
    }
}

#[derive(Deserialize)]
struct RunReport {
    days: Vec<DayReport>,
}

/// Reads what came over the console.
///
/// # Errors
/// If a report is missing, or a program inside printed something else.
pub fn answers(console: &Console) -> Result<Answers> {
    let facts = console.messages.iter().find_map(|message| match message {
        Message::Facts(facts) => Some(facts.clone()),
        _ => None,
    });
    let facts = facts.context("the kernel did not report what it is")?;
    let mut answers = Answers { facts, ..Answers::default() };
    for message in &console.messages {
        let Message::Ran(ran) = message else { continue };
        if let Some(arguments) = ran.command.strip_prefix("grader exercise verify ") {
            answers.exercises.extend(proofs(arguments, ran));
            continue;
        }
        if ran.command.starts_with("atlas-runner --record ") {
            answers.recording = Some(recording(ran)?);
            continue;
        }
        if ran.command.starts_with("atlas-runner ") {
            answers.atlas = atlas::read(ran);
            continue;
        }
        if let Some(asked) = answers::read(ran) {
            answers.asked.push(asked);
            continue;
        }
        let json: serde_json::Value =
            serde_json::from_str(&ran.stdout).with_context(|| no_report(ran))?;
        match ran.command.split_once(' ') {
            Some(("xtask", _)) => {
                let report: RunReport =
                    serde_json::from_value(json).with_context(|| no_report(ran))?;
                answers.days = report.days;
            }
            Some((day, _)) => answers.printed.push(Printed { day: day.to_string(), json }),
            None => {}
        }
    }
    Ok(answers)
}

/// A recording as the atlas printed it.
fn recording(ran: &Ran) -> Result<String> {
    ensure!(ran.code == Some(0), no_report(ran));
    Recording::parse(&ran.stdout).with_context(|| no_report(ran))?;
    Ok(ran.stdout.clone())
}

/// The result of an exercise's programs. A missing report fails only its own exercise.
fn proofs(arguments: &str, ran: &Ran) -> Vec<Proof> {
    let reported = serde_json::from_str(&ran.stdout).map(|proofs: Proofs| proofs.exercises);
    reported.unwrap_or_else(|_| {
        let name = arguments.split(' ').next().unwrap_or_default().to_string();
        let (expected, got) = ("a report".to_string(), "none".to_string());
        vec![Proof { program: name, expected, got, words: Some(no_report(ran)) }]
    })
}

fn no_report(ran: &Ran) -> String {
    let code = ran.code.map_or("no exit status".to_string(), |code| format!("exit status {code}"));
    format!(
        "inside, `{}` printed no report ({code}): {}",
        ran.command,
        one_line(&format!("{} {}", ran.stderr, ran.stdout))
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(command: &str, stdout: &str) -> Message {
        let (command, stdout) = (command.to_string(), stdout.to_string());
        Message::Ran(Ran { command, code: Some(1), stdout, stderr: "oh\nno".to_string() })
    }

    fn console(last: Message) -> Console {
        let facts = Message::Facts(Facts { release: "6.1.0".into(), ..Facts::default() });
        let messages = vec![facts, ran("day01 --json", "{\"days\": []}\n"), last];
        Console { messages, ..Console::default() }
    }

    #[test]
    fn the_answers_are_what_the_programs_printed() {
        let run = r#"{"kernel": "6.1.0", "days": [
            {"day": "day02", "outcome": "ran", "facts": "rings", "dropped": []},
            {"day": "day03", "outcome": "ran", "facts": "clients", "dropped": ["A", "B"]},
            {"day": "day04", "outcome": "failed", "during": "x", "expected": "y", "got": "z", "dropped": []}]}"#;
        let answers = answers(&console(ran("xtask run --json", run))).unwrap();
        assert_eq!(answers.facts.release, "6.1.0");
        assert_eq!(answers.printed[0].day, "day01");
        let words: Vec<_> = answers.days.iter().map(DayReport::in_words).collect();
        assert_eq!(
            words,
            ["ran with nothing left out", "ran without A, B", "failed, x: expected y, got z"]
        );
    }

    #[test]
    fn an_exercise_without_a_report_costs_no_other_its_own() {
        let broken = ran("grader exercise verify chain --json", "");
        let proof = r#"{"exercises": [{"program": "proxy--solution", "expected": "passed", "got": "passed", "words": null}]}"#;
        let mut console = console(broken);
        console.messages.push(ran("grader exercise verify proxy --json", proof));
        let programs = answers(&console).unwrap().exercises;
        let programs: Vec<_> =
            programs.iter().map(|proof| (proof.program.as_str(), proof.got.as_str())).collect();
        assert_eq!(programs, [("chain", "none"), ("proxy--solution", "passed")]);
    }

    #[test]
    fn a_program_that_printed_no_report_is_named_with_its_words() {
        let error = answers(&console(ran("xtask run --json", "Segmentation fault"))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "inside, `xtask run --json` printed no report (exit status 1): oh no Segmentation fault"
        );
    }

    #[test]
    fn a_kernel_that_reported_nothing_is_told() {
        let error = answers(&Console::default()).unwrap_err();
        assert_eq!(error.to_string(), "the kernel did not report what it is");
    }
}
