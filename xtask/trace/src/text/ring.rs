//! A ring in words, from its setup to its close.

use std::fmt::Write as _;
use std::io::Write;

use common::text::plural;

use super::{BOLD, CYAN, DIM, HANG, INDENT, RED, Text};
use crate::event::{Close, Event, Found, Poller, Register, Setup, Workers};
use crate::wrap::folded;

impl<W: Write + Send> Text<W> {
    pub(super) fn setup(&mut self, into: &mut String, event: &Event, setup: &Setup) {
        let mut asked = plural(setup.asked_entries, "entry");
        if setup.asked_flags.iter().any(|flag| flag == "CQSIZE") {
            let _ = write!(asked, " and {} completions", setup.asked_cq_entries);
        }
        if let Some(error) = &setup.error {
            let refused = self.paint(RED, &format!("refused: {error}"));
            self.line(into, event, BOLD, "setup", &format!("asks for {asked}: {refused}"));
            self.list(into, "flags", &setup.asked_flags);
            return;
        }
        let fd = format!("fd {}", setup.result);
        let name = self.named(setup.ring, &fd, setup.not_followed.as_deref());
        self.line(into, event, BOLD, "setup", &format!("asks for {asked}"));
        let mut text = format!("{:INDENT$}is granted {name}", "");
        if let Some(granted) = &setup.granted {
            let _ = write!(text, ": {}", sizes(granted.sq_entries, granted.cq_entries));
        }
        let _ = writeln!(into, "{}", folded(&text, self.style.width, HANG));
        let Some(granted) = &setup.granted else { return };
        self.list(into, "  flags   ", &granted.flags);
        let missing: Vec<String> = setup
            .asked_flags
            .iter()
            .filter(|flag| !granted.flags.contains(flag))
            .cloned()
            .collect();
        self.list(into, "  without ", &missing);
        if granted.flags.iter().any(|flag| flag == "SQPOLL") {
            // 0 leaves it to the kernel, which takes a second (`io_sq_offload_create`).
            let mut poller = match granted.sq_thread_idle {
                0 => "sleeps after 1000 ms idle (the kernel's choice)".to_owned(),
                idle => format!("sleeps after {idle} ms idle"),
            };
            if granted.flags.iter().any(|flag| flag == "SQ_AFF") {
                let _ = write!(poller, ", on CPU {}", granted.sq_thread_cpu);
            }
            self.list(into, "  poller  ", &[poller]);
        }
        // They are the kernel's, and so the same for every ring.
        if self.features != granted.features {
            self.list(into, "  features", &granted.features);
            self.features.clone_from(&granted.features);
        }
    }

    pub(super) fn found(&mut self, into: &mut String, event: &Event, found: &Found) {
        let fds: Vec<String> = found.fds.iter().map(i32::to_string).collect();
        let fds = match fds.is_empty() {
            true => "no descriptor".to_string(),
            false => format!("fd {}", fds.join(" ")),
        };
        let name = self.named(found.ring, &fds, found.not_followed.as_deref());
        let sizes = sizes(found.sq_entries, found.cq_entries);
        self.line(into, event, BOLD, "found", &format!("{name}: {sizes}"));
        if found.ring.is_none() {
            return;
        }
        let mut flags = found.flags.clone();
        if found.concluded {
            flags.push("(their sizes: a conclusion)".to_string());
        }
        flags.push("and others that do not show".to_string());
        self.list(into, "  flags   ", &flags);
        let registered = [(found.slots, "slot"), (found.buffers, "buffer")];
        let registered: Vec<String> = registered
            .into_iter()
            .filter_map(|(count, what)| Some(plural(count.filter(|count| *count > 0)?, what)))
            .collect();
        if !registered.is_empty() {
            let text = format!("{}; their contents do not show", registered.join(", "));
            self.list(into, "  holds   ", &[text]);
        }
        let before = match found.in_flight {
            Some(0) if found.entries.is_empty() => return,
            Some(count) => format!("{count} from before may be in flight"),
            None => "earlier entries may be in flight: their number does not show".to_string(),
        };
        self.list(into, "  entries ", &[before]);
        if !found.armed.is_empty() {
            let armed = format!("waiting until their files are ready: {}", found.armed.join(" "));
            self.list(into, "          ", &[armed]);
        }
        for before in &found.entries {
            let words = format!("{} {}", before.op, before.words);
            let line =
                format!("{:INDENT$}  {} {} [{}]", "", before.seq, words.trim_end(), before.meaning);
            let _ =
                writeln!(into, "{}", self.paint(DIM, &folded(&line, self.style.width, HANG + 2)));
        }
    }

    /// A ring that is new in the trace, or why it cannot be followed.
    fn named(&mut self, ring: Option<u32>, fds: &str, reason: Option<&str>) -> String {
        match ring {
            Some(ring) => {
                self.rings.insert(ring);
                format!("ring {ring} ({fds})")
            }
            None => format!("{fds}, which cannot be followed ({})", reason.unwrap_or("?")),
        }
    }

    /// Names below a line, wrapped.
    fn list(&self, into: &mut String, what: &str, names: &[String]) {
        if names.is_empty() {
            return;
        }
        let mut line = format!("{:INDENT$}{what}", "");
        let start = INDENT + what.len();
        let mut at = start;
        for name in names {
            if at + 1 + name.len() > self.style.width && at > start {
                let _ = writeln!(into, "{}", self.paint(DIM, &line));
                line = " ".repeat(start);
                at = start;
            }
            let _ = write!(line, " {name}");
            at += 1 + name.len();
        }
        let _ = writeln!(into, "{}", self.paint(DIM, &line));
    }

    pub(super) fn register(&mut self, into: &mut String, event: &Event, register: &Register) {
        let mut text = self.which(register.ring) + &register.op;
        if !register.detail.is_empty() {
            let _ = write!(text, ", {}", register.detail);
        }
        if let Some(error) = &register.error {
            text = format!("{text}: {}", self.paint(RED, &format!("refused: {error}")));
        } else if let Some(resized) = &register.resized {
            let _ = write!(text, ": now {}", sizes(resized.sq_entries, resized.cq_entries));
        }
        self.line(into, event, BOLD, "register", &text);
    }

    pub(super) fn poller(&self, into: &mut String, event: &Event, poller: &Poller) {
        let text = match (poller.asleep, poller.waiting) {
            (false, _) => "is awake".to_string(),
            (true, 0) => "sleeps".to_string(),
            (true, waiting) => {
                format!("sleeps, {} waiting unseen", plural(waiting, "entry"))
            }
        };
        let text = format!("{}{text}", self.which(Some(poller.ring)));
        self.line(into, event, CYAN, "poller", &text);
    }

    pub(super) fn close(&mut self, into: &mut String, event: &Event, close: &Close) {
        self.rings.remove(&close.ring);
        let mut text = format!("ring {}", close.ring);
        if close.never_submitted > 0 {
            let _ = write!(text, ", {} never submitted", plural(close.never_submitted, "entry"));
        }
        if close.never_reaped > 0 {
            let _ = write!(text, ", {} never reaped", plural(close.never_reaped, "completion"));
        }
        self.line(into, event, BOLD, "close", &text);
    }
}

/// `3 (1 new, for entry 5?)`: how many workers there are, and what changed.
pub(super) fn workers(workers: &Workers) -> String {
    let mut changes = Vec::new();
    if !workers.new.is_empty() {
        let entries: Vec<String> = workers.entries.iter().take(4).map(u64::to_string).collect();
        let more = if workers.entries.len() > entries.len() { " …" } else { "" };
        changes.push(match entries.as_slice() {
            [] => format!("{} new", workers.new.len()),
            _ => format!("{} new, for entry {}{more}?", workers.new.len(), entries.join(" or ")),
        });
    }
    if workers.ended > 0 {
        changes.push(format!("{} ended", workers.ended));
    }
    format!("{} ({})", workers.count, changes.join(", "))
}

fn sizes(entries: u32, completions: u32) -> String {
    format!("{}, {}", plural(entries, "entry"), plural(completions, "completion"))
}
