//! The results of the days, for people and for programs.

use std::process::ExitStatus;

use serde::Serialize;
use testkit::{self, EndedEarly};

/// What went wrong, in enough detail for a reader who saw only the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// The step that failed.
    pub during: String,
    /// What was expected.
    pub expected: String,
    /// What came instead.
    pub got: String,
}

impl Failure {
    /// A failure during the step `during`.
    pub fn new(
        during: impl Into<String>,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) -> Failure {
        Failure { during: during.into(), expected: expected.into(), got: got.into() }
    }

    /// A program that should have ended well; its standard error may say why it did not.
    pub fn exit(during: &str, status: ExitStatus, stderr: &str) -> Failure {
        let got = format!("{}\n{stderr}", testkit::in_words(status));
        Failure::new(during, "exit status 0", got.trim_end())
    }
}

/// Why a day did not come to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The day reports that it cannot run on this machine, in these words.
    Refused(String),
    /// The day did something wrong.
    Failed(Failure),
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Trouble {
        Trouble::Failed(failure)
    }
}

impl Trouble {
    /// Distinguishes the two for a server that did not start: exit code 1 with an explanation
    /// is what a day does on a machine that cannot run it.
    pub fn at_start(day: &str, error: &anyhow::Error) -> Trouble {
        match error.downcast_ref::<EndedEarly>() {
            Some(early) if early.status.code() == Some(1) && !early.stderr.is_empty() => {
                Trouble::Refused(early.stderr.clone())
            }
            _ => Failure::new(
                format!("starting {day}"),
                "the line with its address",
                format!("{error:#}").trim_end(),
            )
            .into(),
        }
    }
}

/// The result of one day.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// It ran, and every answer was right.
    Ran {
        /// What it did, in half a line.
        facts: String,
    },
    /// It cannot run on this machine.
    Refused {
        /// Its own words.
        reason: String,
    },
    /// It did something wrong.
    Failed(Failure),
    /// It was not started.
    NotTried {
        /// Why not.
        reason: String,
    },
}

/// One day's line at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The program's name.
    pub day: &'static str,
    /// Its result.
    #[serde(flatten)]
    pub outcome: Outcome,
    /// Setup flags that this kernel refused and that the day left out.
    pub dropped: Vec<String>,
}

impl Report {
    /// Whether the day ran to its end.
    pub fn is_good(&self) -> bool {
        matches!(self.outcome, Outcome::Ran { .. })
    }
}
