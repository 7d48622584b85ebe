//! What was seen of a program: the kernel's record of its rings, its other system calls, and
//! what it printed. Checks ask it.

use common::token::Token;

use crate::trace::event::{Complete, Enter, Event, Register, Return, Setup, Submit, What};
use crate::trace::summary::Summary;
use crate::trace::text;
use crate::trace::watch::OtherCall;

use super::failure::Failure;
use super::ids::{self, Id};

/// Columns of a trace line in a verdict.
const WIDTH: usize = 76;
/// Trace lines in a verdict, unless a check picks its own.
const LINES: usize = 3;

/// A program, as far as it has run.
#[derive(Clone, Debug, Default)]
pub struct Record {
    /// What crossed its rings, in order.
    pub events: Vec<Event>,
    /// Its other system calls, in order; empty in the fast mode.
    pub calls: Vec<OtherCall>,
    /// The totals.
    pub summary: Summary,
    /// What it printed.
    pub stdout: String,
    /// What it printed to the standard error.
    pub stderr: String,
    /// Its exit status once it has ended: 128 and the signal, if one killed it.
    pub status: Option<i32>,
    /// How it was run, in words: the first part of every failure.
    pub did: String,
}

/// A `user_data` as the trace writes it.
pub fn user_data(value: u64) -> String {
    crate::trace::names::hex(value)
}

/// The token in a `user_data` that the trace has written, if it is one.
pub fn token(user_data: &str) -> Option<Token> {
    let digits = user_data.strip_prefix("0x")?;
    Token::unpack(u64::from_str_radix(digits, 16).ok()?)
}

impl Record {
    /// The setups that were granted.
    pub fn setups(&self) -> impl Iterator<Item = &Setup> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Setup(setup) if setup.granted.is_some() => Some(setup),
            _ => None,
        })
    }

    /// Every registration that succeeded.
    pub fn registers(&self) -> impl Iterator<Item = &Register> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Register(register) if register.error.is_none() => Some(register),
            _ => None,
        })
    }

    /// Every entry that the kernel took.
    pub fn submits(&self) -> impl Iterator<Item = &Submit> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Submit(submit) => Some(submit),
            _ => None,
        })
    }

    /// Every completion.
    pub fn completes(&self) -> impl Iterator<Item = &Complete> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Complete(complete) => Some(complete),
            _ => None,
        })
    }

    /// Every call of `io_uring_enter`.
    pub fn enters(&self) -> impl Iterator<Item = &Enter> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Enter(enter) => Some(enter),
            _ => None,
        })
    }

    /// The end of every call of `io_uring_enter`.
    pub fn returns(&self) -> impl Iterator<Item = &Return> {
        self.events.iter().filter_map(|event| match &event.what {
            What::Return(back) => Some(back),
            _ => None,
        })
    }

    /// The entries of one operation, by the trace's name for it (`NOP`, `ACCEPT`, …).
    pub fn submitted(&self, op: &str) -> Vec<&Submit> {
        self.submits().filter(|submit| submit.op == op).collect()
    }

    /// The completions of one operation.
    pub fn completed(&self, op: &str) -> Vec<&Complete> {
        self.completes().filter(|complete| complete.op.as_deref() == Some(op)).collect()
    }

    /// The completions that answer one entry.
    pub fn answers(&self, seq: u64) -> Vec<&Complete> {
        self.completes().filter(|complete| complete.seq == Some(seq)).collect()
    }

    /// The other system calls of these names, made after the first ring was granted: before,
    /// the loader and the runtime make many of their own. To the standard error a program may
    /// always write.
    pub fn plain_calls(&self, names: &[&str]) -> Vec<&OtherCall> {
        let ring = |event: &&Event| matches!(&event.what, What::Setup(s) if s.granted.is_some());
        let Some(since) = self.events.iter().find(ring).map(|event| event.us) else {
            return Vec::new();
        };
        self.calls
            .iter()
            .filter(|call| call.us >= since && names.contains(&call.name.as_str()))
            .filter(|call| !(call.name.starts_with("write") && call.args[0] == 2))
            .collect()
    }

    /// Lines of the trace for the events that are picked, at most `most`.
    pub fn lines_at_most(&self, most: usize, pick: impl Fn(&What) -> bool) -> Vec<String> {
        let picked: Vec<Event> =
            self.events.iter().filter(|event| pick(&event.what)).take(most).cloned().collect();
        text::lines(&picked, WIDTH)
    }

    /// The first few lines of the trace for the events that are picked.
    pub fn lines(&self, pick: impl Fn(&What) -> bool) -> Vec<String> {
        self.lines_at_most(LINES, pick)
    }

    /// The last few lines of the trace for the events that are picked.
    pub fn last_lines(&self, pick: impl Fn(&What) -> bool) -> Vec<String> {
        let picked: Vec<&Event> = self.events.iter().filter(|event| pick(&event.what)).collect();
        let from = picked.len().saturating_sub(LINES);
        let picked: Vec<Event> = picked[from..].iter().map(|event| (*event).clone()).collect();
        text::lines(&picked, WIDTH)
    }

    /// A failure of this run: how it was run is filled in; the lines and the rule are to be
    /// added.
    pub fn fail(&self, id: Id) -> Failure {
        Failure::new(id, self.did.clone())
    }

    /// The program has a ring.
    ///
    /// # Errors
    /// `E-NO-RING`; or not observed, if the kernel refused it or the tracer cannot follow it.
    pub fn need_ring(&self) -> Result<(), Failure> {
        if let Some(why) = self.events.iter().find_map(|event| match &event.what {
            What::Setup(Setup { not_followed: Some(why), .. }) => Some(why),
            _ => None,
        }) {
            return Err(Failure::not_observed(format!(
                "the tracer cannot look into the program's ring: {why}"
            )));
        }
        if self.setups().next().is_some() {
            return Ok(());
        }
        if self.refused_here() {
            return Err(no_rings());
        }
        if !self.summary.refused.is_empty() {
            return Err(self
                .fail(ids::NO_RING)
                .kernel(self.lines(|what| matches!(what, What::Setup(_))))
                .rule("The kernel refused the ring. Day 2 lists the rules a setup must keep."));
        }
        Err(self
            .fail(ids::NO_RING)
            .kernel(["the program never called io_uring_setup"])
            .rule("Everything here goes through a ring, and `IoUring::new` sets one up."))
    }

    /// The machine grants no ring to anybody, whatever is asked for.
    fn refused_here(&self) -> bool {
        let refused = &self.summary.refused;
        let blocked = ["EPERM", "EACCES", "ENOSYS", "SIGSYS"];
        self.setups().next().is_none() && blocked.iter().any(|name| refused.contains_key(*name))
    }

    /// The program ended by itself with status 0.
    ///
    /// # Errors
    /// `E-PANIC`, `E-SIGNAL`, `E-EXIT`.
    pub fn need_exit(&self) -> Result<(), Failure> {
        self.need_exit_status(0)
    }

    /// The program ended by itself with this status.
    ///
    /// # Errors
    /// As [`Record::need_exit`].
    pub fn need_exit_status(&self, wanted: i32) -> Result<(), Failure> {
        match self.status {
            Some(status) if status == wanted => Ok(()),
            // Then any program ends badly, and rightly.
            _ if self.refused_here() => Err(no_rings()),
            _ => Err(self.bad_end(wanted)),
        }
    }

    /// Why an end was none that was asked for.
    fn bad_end(&self, wanted: i32) -> Failure {
        let last = || self.last_lines(|what| !matches!(what, What::Close(_) | What::Task(_)));
        let refused = self.summary.refused.keys().cloned().collect::<Vec<_>>().join(", ");
        let last = || match self.setups().next() {
            Some(_) => last(),
            None if refused.is_empty() => vec!["the program had no ring".to_string()],
            None => vec![format!("the kernel refused the program's ring: {refused}")],
        };
        let mut said = last_words(&self.stderr);
        if self.setups().next().is_none() && self.summary.refused.contains_key("ENOMEM") {
            said = format!(
                " Most likely its ring is larger than the limit on locked memory allows \
                 (`ulimit -l`, in KiB).{said}"
            );
        }
        match self.status {
            Some(101) if self.stderr.contains("panicked at") => self
                .fail(ids::PANIC)
                .kernel(last())
                .rule(format!("The program panicked: {}", panic_of(&self.stderr))),
            Some(status) if status > 128 => {
                let name = signal_name(status - 128);
                self.fail(ids::SIGNAL)
                    .kernel(last())
                    .rule(format!("{name} ended the program; it was to end by itself.{said}"))
            }
            Some(status) => {
                let words = format!(
                    "The program ended with status {status}; {wanted} was asked for.{said}"
                );
                // Then the end is only what came of that.
                let never = self.summary.never_submitted > 0 && self.summary.all_entries() == 0;
                match self.need_all_submitted() {
                    Err(failure) if never => {
                        let rule = format!("{} {words}", failure.rule);
                        failure.rule(rule)
                    }
                    _ => self.fail(ids::EXIT).kernel(last()).rule(words),
                }
            }
            None => self
                .fail(ids::EXIT)
                .kernel(last())
                .rule("The program has not ended, and was to end by itself."),
        }
    }

    /// Every entry that the program pushed was submitted.
    ///
    /// # Errors
    /// `E-NOT-SUBMITTED`.
    pub fn need_all_submitted(&self) -> Result<(), Failure> {
        let close = |what: &What| matches!(what, What::Close(close) if close.never_submitted > 0);
        if self.summary.never_submitted == 0 {
            return Ok(());
        }
        Err(self.fail(ids::NOT_SUBMITTED).kernel(self.lines(close)).rule(
            "A push only writes into memory that the kernel shares. The kernel looks at it when \
             `submit` (or `submit_and_wait`) calls io_uring_enter.",
        ))
    }

    /// Every completion that was posted was taken.
    ///
    /// # Errors
    /// `E-NOT-REAPED`.
    pub fn need_all_reaped(&self) -> Result<(), Failure> {
        if self.summary.never_reaped == 0 {
            return Ok(());
        }
        let mut lines = self.last_lines(|what| matches!(what, What::Complete(_)));
        lines.truncate(2);
        lines.extend(
            self.lines(|what| matches!(what, What::Close(close) if close.never_reaped > 0)),
        );
        Err(self.fail(ids::NOT_REAPED).kernel(lines).rule(
            "The kernel posted the answer and the program never took it from the completion \
             queue. `ring.completion()` is where it lies. The kernel is told of what was taken \
             when that iterator is dropped, or by `sync()`; `process::exit` drops nothing.",
        ))
    }

    /// The kernel took at least `count` entries of this operation.
    ///
    /// # Errors
    /// `E-NO-RING`, `E-NOT-SUBMITTED` or `E-NO-ENTRY`.
    pub fn need_entries(&self, op: &str, count: usize) -> Result<(), Failure> {
        self.need_ring()?;
        let got = self.submitted(op).len();
        if got >= count {
            return Ok(());
        }
        self.need_all_submitted()?;
        let mut lines = self.lines(|what| matches!(what, What::Submit(_)));
        if lines.is_empty() {
            lines = vec!["a ring was set up, and no entry ever went in".to_string()];
        }
        Err(self.fail(ids::NO_ENTRY).kernel(lines).rule(format!(
            "{count} {op} {} asked for; the kernel took {got}.",
            if count == 1 { "entry was" } else { "entries were" }
        )))
    }

    /// The program makes none of these system calls once it has a ring.
    ///
    /// # Errors
    /// `E-NOT-THROUGH-RING`; not observed in the fast mode.
    pub fn need_no_plain(&self, names: &[&str]) -> Result<(), Failure> {
        if self.summary.fast {
            return Err(Failure::not_observed("other system calls were not recorded"));
        }
        let calls = self.plain_calls(names);
        let Some(first) = calls.first() else { return Ok(()) };
        let count = calls.iter().filter(|call| call.name == first.name).count();
        let name = &first.name;
        Err(self
            .fail(ids::NOT_THROUGH_RING)
            .kernel([format!(
                "system call {name}, {count} times; the first with {}",
                first.args[0]
            )])
            .rule(format!(
                "This is to go through the ring, as an entry; {name}(2) is a system call of its \
                 own."
            )))
    }
}

fn no_rings() -> Failure {
    Failure::not_observed(
        "this machine grants no ring; `cargo run -p day01` says why, and what to do",
    )
}

/// What a program said before it ended, for a sentence to end with.
fn last_words(stderr: &str) -> String {
    let words: Vec<&str> = stderr.lines().filter(|line| !line.trim().is_empty()).collect();
    match words.as_slice() {
        [] => String::new(),
        words => format!(" It said: {}", words[words.len().saturating_sub(3)..].join(" / ")),
    }
}

/// The message of a panic, without the hint on backtraces.
fn panic_of(stderr: &str) -> String {
    let from = stderr.find("panicked at").map_or(0, |at| at + "panicked ".len());
    let lines: Vec<&str> = stderr[from..]
        .lines()
        .take_while(|line| !line.starts_with("note:") && !line.starts_with("stack backtrace"))
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take(3)
        .collect();
    lines.join(" ")
}

fn signal_name(signal: i32) -> String {
    nix::sys::signal::Signal::try_from(signal)
        .map_or_else(|_| format!("signal {signal}"), |signal| signal.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ring_for_which_there_is_no_memory_is_explained() {
        let stderr = "Error: Cannot allocate memory (os error 12)".to_string();
        let mut record = Record { status: Some(1), stderr, ..Record::default() };
        record.summary.refused.insert("ENOMEM".to_string(), 1);
        let failure = record.need_exit().expect_err("no ring, no pass");
        assert_eq!(failure.kernel, ["the kernel refused the program's ring: ENOMEM"]);
        assert!(failure.rule.contains("the limit on locked memory"), "{}", failure.rule);
    }
}
