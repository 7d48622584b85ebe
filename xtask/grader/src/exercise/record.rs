//! The record of a program, which checks query: the events of its rings, its other system calls,
//! and its output.

mod calls;
mod ends;
mod moved;
mod needs;
mod served;

use std::time::Duration;

use common::text::several;
use common::token::Token;

use ringtrace::event::{
    Complete, Enter, Event, Granted, Left, Register, Return, Setup, Submit, What,
};
use ringtrace::summary::Summary;
use ringtrace::text;
use ringtrace::watch::OtherCall;

use super::failure::Failure;
use super::ids::Id;

/// Columns of a trace line in a verdict.
const WIDTH: usize = 76;
/// Trace lines in a verdict, unless a check selects them.
const LINES: usize = 3;

/// The record of a program so far.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// The events of its rings, in order.
    pub events: Vec<Event>,
    /// Its other system calls, in order; empty in the fast mode.
    pub calls: Vec<OtherCall>,
    /// The totals.
    pub summary: Summary,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
    /// The file of its standard output: `pipe:[45]`, or a path.
    pub stdout_is: String,
    /// The file of its standard error.
    pub stderr_is: String,
    /// Its exit status once it has ended: 128 and the signal, if one killed it.
    pub status: Option<i32>,
    /// How it was run, in words: the first part of every failure.
    pub did: String,
    /// CPU time that it used while it had to wait, if it was awake most of that time.
    pub burnt: Duration,
}

pub use calls::{SocketOption, WAITS};
pub use moved::{Moved, Target, gives, takes};
pub use served::{Served, filled};

/// A `user_data` as the trace writes it.
pub fn user_data(value: u64) -> String {
    ringtrace::names::hex(value)
}

/// The token in a `user_data` of the trace, if it is a token.
pub fn token(user_data: &str) -> Option<Token> {
    let digits = user_data.strip_prefix("0x")?;
    Token::unpack(u64::from_str_radix(digits, 16).ok()?)
}

impl Record {
    /// Its rings and their faults, as the book's pages show them.
    pub fn rings_for_a_page(&self, command: &str) -> serde_json::Value {
        let kernel = common::environment::kernel_release();
        ringtrace::player::rings::page(command, &kernel, &self.events, &self.summary)
    }

    /// The successful setups.
    pub fn setups(&self) -> impl Iterator<Item = &Setup> {
        self.each(|what| if let What::Setup(it) = what { Some(it) } else { None })
            .filter(|setup| setup.granted.is_some())
    }

    /// Every registration that succeeded.
    pub fn registers(&self) -> impl Iterator<Item = &Register> {
        self.each(|what| if let What::Register(it) = what { Some(it) } else { None })
            .filter(|register| register.error.is_none())
    }

    /// Every entry that the kernel took.
    pub fn submits(&self) -> impl Iterator<Item = &Submit> {
        self.each(|what| if let What::Submit(it) = what { Some(it) } else { None })
    }

    /// Every completion.
    pub fn completes(&self) -> impl Iterator<Item = &Complete> {
        self.each(|what| if let What::Complete(it) = what { Some(it) } else { None })
    }

    /// Every call of `io_uring_enter`.
    pub fn enters(&self) -> impl Iterator<Item = &Enter> {
        self.each(|what| if let What::Enter(it) = what { Some(it) } else { None })
    }

    /// The end of every call of `io_uring_enter`.
    pub fn returns(&self) -> impl Iterator<Item = &Return> {
        self.each(|what| if let What::Return(it) = what { Some(it) } else { None })
    }

    /// What `pick` finds in the events, in order.
    fn each<'a, T: 'a>(
        &'a self,
        pick: fn(&'a What) -> Option<&'a T>,
    ) -> impl Iterator<Item = &'a T> {
        self.events.iter().filter_map(move |event| pick(&event.what))
    }

    /// The entries of one operation, by the trace's name for it (`NOP`, `ACCEPT`, …).
    pub fn submitted(&self, op: &str) -> Vec<&Submit> {
        self.submits().filter(|submit| submit.op == op).collect()
    }

    /// The completions of one operation.
    pub fn completed(&self, op: &str) -> Vec<&Complete> {
        self.completes().filter(|complete| complete.op.as_deref() == Some(op)).collect()
    }

    /// The completions of one entry.
    pub fn answers(&self, seq: u64) -> Vec<&Complete> {
        self.completes().filter(|complete| complete.seq == Some(seq)).collect()
    }

    /// The rings through which entries of this operation went, by number.
    pub fn rings_of(&self, op: &str) -> Vec<u32> {
        let mut rings: Vec<u32> = self.submitted(op).iter().map(|submit| submit.ring).collect();
        rings.sort_unstable();
        rings.dedup();
        rings
    }

    /// The record of one ring: its setup, registrations, enters, entries and completions. The
    /// totals and the other calls are still those of the whole program.
    pub fn of_ring(&self, ring: u32) -> Record {
        let its = |event: &&Event| ring_of(&event.what) == Some(ring);
        let events = self.events.iter().filter(its).cloned().collect();
        Record { events, ..self.clone() }
    }

    /// The sizes and flags of rings after a resize (`IORING_REGISTER_RESIZE_RINGS`).
    pub fn resized(&self) -> impl Iterator<Item = &Granted> {
        self.registers().filter_map(|register| register.resized.as_ref())
    }

    /// The taken slots and waiting operations that `/proc` listed when the program closed its last
    /// ring. `None` if the kernel does not list them.
    pub fn left(&self) -> Option<Left> {
        self.events.iter().rev().find_map(|event| match &event.what {
            What::Close(close) => Some(close.left.clone()),
            _ => None,
        })?
    }

    /// Its output, in one line of a verdict.
    pub fn printed(&self) -> String {
        match self.stdout.len() {
            0 => "printed: nothing".to_string(),
            // Each byte that is not UTF-8 became three, so the length would be wrong.
            _ if self.stdout.contains(char::REPLACEMENT_CHARACTER) => {
                format!("printed, not all of it UTF-8: {}", quoted(&self.stdout))
            }
            length => format!("printed, {}: {}", several(length, "byte"), quoted(&self.stdout)),
        }
    }

    /// Lines of the trace for the selected events, at most `most`.
    pub fn lines_at_most(&self, most: usize, pick: impl Fn(&What) -> bool) -> Vec<String> {
        let picked: Vec<Event> =
            self.events.iter().filter(|event| pick(&event.what)).take(most).cloned().collect();
        text::lines(&picked, WIDTH)
    }

    /// The first few lines of the trace for the selected events.
    pub fn lines(&self, pick: impl Fn(&What) -> bool) -> Vec<String> {
        self.lines_at_most(LINES, pick)
    }

    /// The last few lines of the trace for the selected events.
    pub fn last_lines(&self, pick: impl Fn(&What) -> bool) -> Vec<String> {
        let picked: Vec<&Event> = self.events.iter().filter(|event| pick(&event.what)).collect();
        let from = picked.len().saturating_sub(LINES);
        let picked: Vec<Event> = picked[from..].iter().map(|event| (*event).clone()).collect();
        text::lines(&picked, WIDTH)
    }

    /// A failure of this run, with the words on how it was run. The caller adds the lines and the
    /// rule.
    pub fn fail(&self, id: Id) -> Failure {
        Failure::new(id, self.did.clone())
    }
}

/// A text in quotes; only the beginning of a long one.
pub fn quoted(text: &str) -> String {
    const SHOWN: usize = 60;
    let short: String = text.chars().take(SHOWN).collect();
    let more = if short.len() < text.len() { " …" } else { "" };
    format!("{short:?}{more}")
}

/// The ring of an event.
fn ring_of(what: &What) -> Option<u32> {
    match what {
        What::Setup(setup) => setup.ring,
        What::Register(register) => register.ring,
        What::Enter(enter) => enter.ring,
        What::Submit(submit) => Some(submit.ring),
        What::Complete(complete) => Some(complete.ring),
        What::Return(back) => back.ring,
        What::Unseen(unseen) => Some(unseen.ring),
        What::Poller(poller) => Some(poller.ring),
        What::Close(close) => Some(close.ring),
        What::Diagnosis(diagnosis) => diagnosis.ring,
        What::Found(found) => found.ring,
        What::Start(_)
        | What::Workers(_)
        | What::Attach(_)
        | What::Task(_)
        | What::Exit(_)
        | What::LetGo(_) => None,
    }
}

#[cfg(test)]
mod tests;
