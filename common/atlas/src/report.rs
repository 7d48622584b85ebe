//! An entry's questions and the kernel's answers: as data, and as text.

use std::fmt;

use common::text;
use serde::{Deserialize, Serialize};

use crate::{Answer, Entry, Family};

/// The page of an entry, filled in; `--json` prints one such object for each entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// The entry's name.
    pub name: String,
    /// The family that it belongs to.
    pub family: String,
    /// The names of the catalogue that it shows.
    pub shows: Vec<String>,
    /// What was asked, in order.
    pub rows: Vec<Row>,
    /// What could not be shown here.
    pub left_out: Vec<LeftOut>,
    /// Why the entry failed: the kernel gave another answer than the entry expects.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
    /// Whether it failed for lack of memory, which a closed ring may still hold.
    #[serde(skip)]
    pub lacked_memory: bool,
}

/// One thing that was asked or looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// What kind of row it is.
    pub kind: Kind,
    /// What the program asked.
    pub asked: String,
    /// What the kernel answered.
    pub answered: String,
    /// The result of a completion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<i32>,
    /// The error's name, such as `EINVAL`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<String>,
    /// The reason for the error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The operation of an entry, and the `user_data` that finds it in a trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entry: Option<Asked>,
}

/// What a row asked of the ring.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The operation's name.
    pub operation: String,
    /// The `user_data` of the entry and of its completions.
    pub user_data: u64,
}

/// The kinds of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An entry went into the ring.
    Entry,
    /// A plain system call was made.
    Call,
    /// The effect was looked at by other means.
    Saw,
    /// A value that is worth knowing.
    Note,
}

/// Something that could not be shown here, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// Its name in the catalogue, or words.
    pub what: String,
    /// Why it could not be shown.
    pub why: String,
    /// Where it can be seen.
    #[serde(rename = "where")]
    pub seen: Where,
}

/// The machine on which something can be seen that could not be shown here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Where {
    /// On a kernel that has it.
    NewerKernel,
    /// As root.
    Root,
    /// In the machine that `cargo xtask kernels` boots, which has devices of its own.
    EmulatedMachine,
    /// On another machine: with another file system, network card or kernel configuration.
    OtherMachine,
}

impl fmt::Display for Where {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Where::NewerKernel => "on a newer kernel",
            Where::Root => "as root",
            Where::EmulatedMachine => "in the emulated machine",
            Where::OtherMachine => "on another machine",
        })
    }
}

impl LeftOut {
    /// Something that cannot be shown here. `what` is a name of the catalogue, or words.
    pub fn new(what: &str, why: impl Into<String>, seen: Where) -> LeftOut {
        LeftOut { what: what.to_string(), why: why.into(), seen }
    }
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; to be seen {}", self.what, self.why, self.seen)
    }
}

impl std::error::Error for LeftOut {}

impl Report {
    pub(crate) fn new(family: &Family, entry: &Entry) -> Report {
        let shows = entry.shows.iter().map(|name| name.to_string()).collect();
        Report { name: entry.name(), family: family.name.into(), shows, ..Report::default() }
    }

    /// The rows in words, 80 columns wide, below the catalogue's line.
    pub(crate) fn text(&self, entry: &Entry) -> String {
        let fact = entry.fact();
        let mut lines = vec![format!("{} · since {} · {}", fact.name, fact.since, fact.meaning)];
        lines.extend(self.rows.iter().map(Row::line));
        lines.extend(self.left_out.iter().map(|left_out| format!("  left out: {left_out}")));
        lines.extend(self.failed.iter().map(|why| format!("  FAILED: {why}")));
        lines.iter().map(|line| text::wrap(line, text::WIDTH, 6) + "\n").collect()
    }
}

impl Row {
    pub(crate) fn new(kind: Kind, asked: &str, answered: impl fmt::Display) -> Row {
        Row {
            kind,
            asked: asked.to_string(),
            answered: answered.to_string(),
            result: None,
            errno: None,
            why: None,
            entry: None,
        }
    }

    pub(crate) fn of_answer(asked: &str, entry: Asked, answer: &Answer) -> Row {
        Row {
            result: Some(answer.result),
            errno: answer.errno().map(|errno| format!("{errno:?}")),
            entry: Some(entry),
            ..Row::new(Kind::Entry, asked, answer.in_words())
        }
    }

    /// The row in words.
    pub fn line(&self) -> String {
        let why = self.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        match self.kind {
            Kind::Saw => format!("  ✓ {}", self.asked),
            _ => format!("  {} → {}{why}", self.asked, self.answered),
        }
    }
}
