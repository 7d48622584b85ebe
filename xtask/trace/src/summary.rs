//! The totals of a trace.

use std::collections::BTreeMap;

use serde::Serialize;

use super::event::Diagnosis;
use super::ran::{Known, Place, Ran};
use super::refused::RefusedRing;
use super::times::{Slow, Took};

/// Everything that was counted. Exact, except where it says "unseen".
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Rings that were granted.
    pub rings: u64,
    /// Setups that were refused, by the error's name.
    pub refused: BTreeMap<String, u64>,
    /// The last of them.
    #[serde(skip)]
    pub refused_ring: Option<RefusedRing>,
    /// Rings that were granted and could not be followed, by the reason.
    pub not_followed: BTreeMap<String, u64>,
    /// Calls of `io_uring_enter`.
    pub enters: u64,
    /// Enters that failed, by the error's name; `EINTR` is an interrupted wait.
    pub failed_enters: BTreeMap<String, u64>,
    /// Entries that the kernel took, by operation.
    pub entries: BTreeMap<String, u64>,
    /// Completions that the kernel posted, by the operation of the entry they answer.
    pub completions: BTreeMap<String, Completions>,
    /// How long operations took, by operation.
    pub times: BTreeMap<String, Took>,
    /// The slowest operations, the slowest first; timeouts are left out.
    pub slowest: Vec<Slow>,
    /// The most threads of the kernel's worker pool (io-wq) that a process had at a time.
    pub workers: u64,
    /// Calls of `io_uring_register`, by operation.
    pub registers: BTreeMap<String, u64>,
    /// Every other system call, by name; empty in the fast mode.
    pub other_calls: BTreeMap<String, u64>,
    /// Other calls that were counted and not kept, for there were too many of them.
    #[serde(skip)]
    pub calls_not_kept: u64,
    /// Calls of another convention than this machine's own: those of a 32-bit program.
    #[serde(skip)]
    pub foreign_calls: u64,
    /// Tasks that were started out of the tracer's sight (`CLONE_UNTRACED`).
    #[serde(skip)]
    pub untraced: u64,
    /// What was still armed or under way when its ring was closed.
    pub armed: Vec<Armed>,
    /// What may have been: entries that answer only when they fail.
    #[serde(skip)]
    pub may_wait: Vec<Armed>,
    /// The program runs on: the tracer has let go of it.
    pub let_go: bool,
    /// Entries of before the tracer joined that may be under way, and of which it knows no more.
    pub before: u64,
    /// Entries that were published and never submitted.
    pub never_submitted: u64,
    /// Completions that were posted and never reaped.
    pub never_reaped: u64,
    /// Entries that went by unread.
    pub unseen_entries: u64,
    /// Completions that went by unread.
    pub unseen_completions: u64,
    /// Entries that the kernel dropped, for their index was out of range.
    pub dropped: u64,
    /// How often an enter returned with completions waiting outside a full queue.
    pub overflows: u64,
    /// Rings that were closed with completions waiting outside a full queue; only the kernel knows
    /// how many.
    pub closed_overflowing: u64,
    /// Completions that the kernel threw away (only without `IORING_FEAT_NODROP`).
    pub lost: u64,
    /// The program ran without stopping at other system calls: they were not counted.
    pub fast: bool,
    /// The kernel's tracepoints were read: where an operation ran is exact.
    pub tracepoints: bool,
    /// What is wrong with the program, in the order in which it was found.
    pub diagnoses: Vec<Diagnosis>,
    /// A kernel thread polled one of the rings.
    pub polled: bool,
    /// The exit status of the program.
    pub status: Option<i32>,
}

/// Completions of one operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Completions {
    /// All of them.
    pub count: u64,
    /// Those with an error.
    pub errors: u64,
    /// Those with `IORING_CQE_F_MORE`.
    pub more: u64,
    /// Where they ran.
    pub ran: Places,
}

/// Completions by where their operations ran; unknown places are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[allow(missing_docs, reason = "each is the place of its name")]
pub struct Places {
    pub inline: u64,
    pub poller: u64,
    pub polled: u64,
    pub worker: u64,
    pub device: u64,
    pub timer: u64,
    pub event: u64,
    /// How many of all are conclusions.
    pub concluded: u64,
    /// How many are exact, by the kernel's tracepoints.
    pub exact: u64,
    /// How many of the exact ones the tracer would have placed elsewhere without tracepoints.
    pub mistaken: u64,
}

impl Places {
    /// Counts a completion.
    pub fn add(&mut self, ran: Option<Ran>) {
        let Some(Ran { place, known }) = ran else { return };
        let count = match place {
            Place::Inline => &mut self.inline,
            Place::Poller => &mut self.poller,
            Place::Polled => &mut self.polled,
            Place::Worker => &mut self.worker,
            Place::Device => &mut self.device,
            Place::Timer => &mut self.timer,
            Place::Event => &mut self.event,
        };
        *count += 1;
        self.concluded += u64::from(known == Known::Concluded);
        self.exact += u64::from(known == Known::Exact);
    }
}

/// An entry that was not fully answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Armed {
    /// Its ring.
    pub ring: u32,
    /// Its number.
    pub seq: u64,
    /// Its operation.
    pub op: String,
    /// What it was about, in words.
    pub words: String,
    /// Its `user_data` by its meaning.
    pub meaning: String,
    /// Whether it is a multishot.
    pub multishot: bool,
    /// Whether the next entry waited for it.
    pub linked: bool,
}

/// The name under which completions are counted that answer no entry that was seen.
pub const UNPAIRED: &str = "(no entry seen)";

impl Summary {
    /// All entries, read or not.
    pub fn all_entries(&self) -> u64 {
        self.entries.values().sum::<u64>() + self.unseen_entries
    }

    /// All completions, read or not.
    pub fn all_completions(&self) -> u64 {
        self.completions.values().map(|completions| completions.count).sum::<u64>()
            + self.unseen_completions
    }

    /// All system calls: setups, registers, enters and others.
    pub fn all_calls(&self) -> u64 {
        self.enters
            + self.rings
            + self.refused.values().sum::<u64>()
            + self.registers.values().sum::<u64>()
            + self.other_calls.values().sum::<u64>()
    }
}
