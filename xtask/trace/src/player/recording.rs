//! What a recording holds: the steps that a reader can play, and the counts of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// One recorded run, or the part of it that is shown. It lies in `book/traces/NAME.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recording {
    /// The scenario's name, and the file's.
    pub name: String,
    /// What it shows.
    pub title: String,
    /// The program that was traced.
    pub program: String,
    /// What a reader types to run the same.
    pub command: String,
    /// The kernel that it was recorded on, as `6.18`. Other kernels give the same steps.
    pub kernel: String,
    /// The ring as granted. A recording shows one ring.
    pub rings: Vec<Shape>,
    /// What happened, in order.
    pub steps: Vec<Step>,
    /// `enters`, `entries`, `completions`, entries by operation (`ACCEPT`) and completions by
    /// operation (`completions:ACCEPT`), of the steps that are shown.
    pub counts: BTreeMap<String, u64>,
}

/// A ring's sizes and setup flags.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    /// Submission queue entries.
    pub sq_entries: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// `IORING_SETUP_*` in force.
    pub flags: Vec<String>,
}

/// What kind of step it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// `io_uring_setup`: the rings are there.
    Setup,
    /// `io_uring_register`.
    Register,
    /// The program writes entries and moves the submission queue's tail.
    Push,
    /// `io_uring_enter` begins; the kernel takes the entries and moves the head.
    Enter,
    /// The polling thread takes entries and moves the head.
    Take,
    /// Nothing has completed: the enter sleeps.
    Sleep,
    /// Completions are posted: the completion queue's tail moves.
    Complete,
    /// The enter returns.
    Return,
    /// The program reads completions and moves the completion queue's head.
    Reap,
    /// The polling thread falls asleep.
    Doze,
    /// Something happens outside: a client connects.
    World,
    /// The ring is closed.
    Close,
    /// The recording ends, though the program goes on.
    End,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// What kind of step it is.
    #[serde(rename = "do")]
    pub kind: Kind,
    /// The same in words.
    pub say: String,
    /// The system call that begins here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<String>,
    /// Which event of the trace it is or comes before, counted from 0; only in a page of a run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<usize>,
    /// The call wakes the polling thread (`IORING_ENTER_SQ_WAKEUP`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub wakes: bool,
    /// Entries that are written.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    /// Entries that the kernel takes, by their numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub takes: Vec<u64>,
    /// Completions that are posted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub completions: Vec<Completion>,
    /// How many completions are read.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub reaps: u32,
}

// The signature is serde's.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// An entry of the submission queue.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Numbers the entries of a recording from 1.
    pub seq: u64,
    /// The operation, as `ACCEPT`.
    pub op: String,
    /// What it is about, in words.
    pub what: String,
    /// Its `user_data`, as text; a token without the generation.
    pub token: String,
    /// The slot that it is for, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slot: Option<u32>,
}

/// A completion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// The entry that it answers.
    pub seq: u64,
    /// That entry's operation.
    pub op: String,
    /// Its result in words.
    pub result: String,
    /// It failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub error: bool,
    /// The entry stays armed (`IORING_CQE_F_MORE`).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub more: bool,
}

impl Step {
    /// A step with nothing but its words.
    pub fn new(kind: Kind, say: impl Into<String>) -> Step {
        Step {
            kind,
            say: say.into(),
            call: None,
            event: None,
            wakes: false,
            entries: Vec::new(),
            takes: Vec::new(),
            completions: Vec::new(),
            reaps: 0,
        }
    }

    /// The same with a system call.
    pub fn calling(self, call: &str) -> Step {
        Step { call: Some(call.to_string()), ..self }
    }
}

/// The counts of some steps.
pub fn counts(steps: &[Step]) -> BTreeMap<String, u64> {
    let mut counts =
        BTreeMap::from(["enters", "entries", "completions"].map(|name| (name.to_string(), 0)));
    let mut count = |name: String| *counts.entry(name).or_default() += 1;
    for step in steps {
        if step.kind == Kind::Enter {
            count("enters".to_string());
        }
        for entry in &step.entries {
            count("entries".to_string());
            count(entry.op.clone());
        }
        for completion in &step.completions {
            count("completions".to_string());
            count(format!("completions:{}", completion.op));
        }
    }
    counts
}
