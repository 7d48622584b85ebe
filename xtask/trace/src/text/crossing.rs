//! What crosses a ring in words: enters, entries, completions.

use std::fmt::Write as _;
use std::io::Write;

use serde_json::Value;

use super::{BOLD, CYAN, DIM, GREEN, RED, Text, YELLOW};
use crate::context::span;
use crate::event::{Complete, Enter, Event, Return, Submit, Unseen};
use crate::ran::{Place, Ran};
use crate::wrap::unbroken;

impl<W: Write + Send> Text<W> {
    pub(super) fn enter(&mut self, into: &mut String, event: &Event, enter: &Enter) {
        if enter.answer.is_none() {
            self.asleep.insert(enter.enter);
        }
        let text = format!("{}{}", self.which(enter.ring), self.asks(enter));
        self.line(into, event, BOLD, "enter", &text);
    }

    /// What an enter asks for, and its result if it did not sleep.
    fn asks(&self, enter: &Enter) -> String {
        let mut parts = Vec::new();
        if enter.to_submit > 0 {
            parts.push(format!("submits {}", enter.to_submit));
        }
        let waits = enter.flags.iter().any(|flag| flag == "GETEVENTS");
        match enter.min_complete {
            0 if waits => parts.push("fetches completions".to_string()),
            0 => {}
            count => parts.push(format!("waits for {count}")),
        }
        if let Some(us) = enter.min_wait_us {
            parts.push(format!("after {} for one", span(us)));
        }
        let moment = enter.flags.iter().any(|flag| flag == "ABS_TIMER");
        match enter.at_most_us {
            Some(us) if moment => parts.push(format!("until {} of its clock", span(us))),
            Some(us) => parts.push(format!("at most {}", span(us))),
            None => {}
        }
        if parts.is_empty() {
            parts.push("asks for nothing".to_string());
        }
        let ordinary = ["GETEVENTS", "REGISTERED_RING", "EXT_ARG", "EXT_ARG_REG", "ABS_TIMER"];
        parts.extend(others(&enter.flags, &ordinary));
        if enter.ring.is_none() {
            parts.push(format!("fd {}, not a ring that is followed", enter.fd));
        }
        let text = parts.join(", ");
        match &enter.answer {
            Some(back) => format!("{text}{}", self.answer(enter, back)),
            None if enter.min_complete > 0 => format!("{text}, and sleeps"),
            None => format!("{text}, which takes time"),
        }
    }

    /// What differs from what the enter's own line says.
    fn answer(&self, enter: &Enter, back: &Return) -> String {
        match &back.error {
            Some(error) => format!(": {}", self.paint(RED, error)),
            None if back.result != i64::from(enter.to_submit) => {
                self.paint(YELLOW, &format!(": {} taken", back.result))
            }
            None => String::new(),
        }
    }

    pub(super) fn returned(&mut self, into: &mut String, event: &Event, back: &Return) {
        if self.asleep.remove(&back.enter) {
            let which = self.which(back.ring);
            let slept = span(back.inside_us);
            let text = match &back.error {
                Some(error) => format!("{which}after {slept}: {}", self.paint(RED, error)),
                None => format!("{which}after {slept}"),
            };
            self.line(into, event, BOLD, "returns", &text);
        }
        if back.overflow {
            let text = "the completion queue is full: more completions wait in the kernel";
            self.line(into, event, YELLOW, "overflow", text);
        }
    }

    pub(super) fn submit(&self, into: &mut String, event: &Event, submit: &Submit) {
        let mut text = self.which(Some(submit.ring));
        let _ = write!(text, "{}", self.paint(CYAN, &submit.op));
        if !submit.words.is_empty() {
            let _ = write!(text, " {}", submit.words);
        }
        if let Some(flags) = others(&submit.flags, &["FIXED_FILE", "BUFFER_SELECT"]) {
            let _ = write!(text, " {}", self.paint(YELLOW, &flags));
        }
        let _ = write!(text, " {}", self.paint(DIM, &unbroken(&format!("[{}]", submit.meaning))));
        self.line(into, event, CYAN, &format!("  → {}", submit.seq), &text);
    }

    pub(super) fn complete(&self, into: &mut String, event: &Event, complete: &Complete) {
        let mut text = self.which(Some(complete.ring));
        let op = complete.op.as_deref().unwrap_or("(no entry seen)");
        let colour = if complete.error.is_some() { RED } else { GREEN };
        let _ = write!(text, "{} {}", self.paint(colour, op), complete.words);
        text += &buffers(complete);
        if let Some(flags) = others(&complete.flags, &["BUFFER"]) {
            let _ = write!(text, " {}", self.paint(YELLOW, &flags));
        }
        // The duration of a multishot that goes on says nothing.
        if let Some(us) = complete.after_us.filter(|_| !complete.more) {
            let after = format!("after {}{}", span(us), elsewhere(complete.ran));
            let _ = write!(text, " {}", self.paint(DIM, &unbroken(&after)));
        }
        let doubt = if complete.ambiguous { " (or another)" } else { "" };
        let meaning = format!("[{}{doubt}]", complete.meaning);
        let _ = write!(text, " {}", self.paint(DIM, &unbroken(&meaning)));
        let word = match complete.seq {
            Some(seq) => format!("  ← {seq}"),
            None => "  ←".to_string(),
        };
        self.line(into, event, colour, &word, &text);
    }

    pub(super) fn unseen(&self, into: &mut String, event: &Event, unseen: &Unseen) {
        let parts = [
            (unseen.entries, "entries went by unseen"),
            (unseen.completions, "completions went by unseen"),
            (unseen.dropped, "entries dropped: their index is out of range"),
        ];
        let parts = parts.into_iter().filter(|(count, _)| *count > 0);
        let parts: Vec<String> = parts.map(|(count, what)| format!("{count} {what}")).collect();
        let text = format!("{}{}", self.which(Some(unseen.ring)), parts.join(", "));
        self.line(into, event, YELLOW, "unseen", &text);
    }
}

/// The flags that the words of a line do not show already, if there are any.
fn others(flags: &[String], shown: &[&str]) -> Option<String> {
    let others = flags.iter().map(String::as_str).filter(|flag| !shown.contains(flag));
    let others: Vec<&str> = others.collect();
    (!others.is_empty()).then(|| others.join(" "))
}

/// `, worker?`: where an operation ran, if neither at once nor when its time had come.
fn elsewhere(ran: Option<Ran>) -> String {
    match ran {
        None => String::new(),
        Some(Ran { place: Place::Inline | Place::Timer | Place::Event, .. }) => String::new(),
        Some(ran) => format!(", {ran}"),
    }
}

/// ` in buffer 3`, ` from buffers 3–5 9`: the provided buffers that a completion gives to the
/// program.
fn buffers(complete: &Complete) -> String {
    let Some(first) = complete.buffer else { return String::new() };
    let sends = complete.op.as_ref().is_some_and(|op| op.starts_with("SEND"));
    let way = if sends { "from" } else { "in" };
    let ids: Vec<u64> = match complete.details.get("buffers").and_then(Value::as_array) {
        Some(ids) => ids.iter().filter_map(Value::as_u64).collect(),
        None if complete.details.contains_key("bundle") => {
            return format!(" {way} buffer {first} and those after it");
        }
        None => Vec::new(),
    };
    let [_, _, ..] = ids.as_slice() else { return format!(" {way} buffer {first}") };
    let run = |run: &[u64]| match run {
        [first, .., last] => format!("{first}–{last}"),
        one => one.iter().map(u64::to_string).collect(),
    };
    let runs: Vec<String> = ids.chunk_by(|a, b| a + 1 == *b).map(run).collect();
    format!(" {way} buffers {}", runs.join(" "))
}
