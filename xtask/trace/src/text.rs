//! The events as a conversation, for people: what the program says to the kernel goes to the
//! right, what the kernel says back comes from it.

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;

use common::text::plural;
use serde_json::Value;

use super::context::span;
use super::event::{
    Complete, Diagnosis, Enter, Event, Found, Granted, Register, Return, Setup, Submit, What,
    Workers,
};
use super::names::printable;
use super::ran::{Place, Ran};
use super::watch::Sink;
use super::wrap::{folded, unbroken};

/// How the text looks.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// With colours.
    pub colour: bool,
    /// Characters in a line.
    pub width: usize,
}

/// Writes one event a line.
pub struct Text<W> {
    out: Option<W>,
    style: Style,
    rings: HashSet<u32>,
    tasks: u32,
    begun: bool,
    /// The enters that were reported as asleep.
    asleep: HashSet<u64>,
    features: Vec<String>,
}

const DIM: &str = "2";
const BOLD: &str = "1";
const RED: &str = "31";
const GREEN: &str = "32";
const CYAN: &str = "36";
const YELLOW: &str = "33";

/// Columns before the text: the time and the word or arrow.
const INDENT: usize = 21;
/// Columns before what a line goes on with when it is folded.
const HANG: usize = INDENT + 2;

impl<W: Write + Send> Text<W> {
    /// Writes to `out`, until that refuses.
    pub fn new(out: W, style: Style) -> Text<W> {
        Text {
            out: Some(out),
            style,
            rings: HashSet::new(),
            tasks: 1,
            begun: false,
            asleep: HashSet::new(),
            features: Vec::new(),
        }
    }

    fn paint(&self, colour: &str, text: &str) -> String {
        if self.style.colour { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// `   0.0012  word     text`, with the thread if there are several; folded at the width.
    fn line(&self, into: &mut String, event: &Event, colour: &str, word: &str, text: &str) {
        let time = self.paint(DIM, &format!("{:9.4}", event.us as f64 / 1e6));
        let word = self.paint(colour, &format!("{word:<9}"));
        let who = match event.tid {
            tid if self.tasks > 1 && tid != 0 => self.paint(DIM, &format!("[{tid}] ")),
            _ => String::new(),
        };
        let line = format!("{time}  {word} {who}{text}");
        let _ = writeln!(into, "{}", folded(&line, self.style.width, HANG));
    }

    /// `ring 2: `, if there is more than one.
    fn which(&self, ring: Option<u32>) -> String {
        match ring {
            Some(ring) if self.rings.len() > 1 => format!("ring {ring}: "),
            _ => String::new(),
        }
    }

    fn event(&mut self, into: &mut String, event: &Event) {
        match &event.what {
            What::Start(start) => {
                let text = format!("{} is process {}", printable(&start.program), start.pid);
                self.line(into, event, BOLD, "program", &text);
            }
            What::Attach(attach) => {
                let program = printable(&attach.program);
                let threads = plural(attach.threads, "thread");
                let text = format!("{program} is process {}, {threads}", attach.pid);
                self.tasks = attach.threads;
                self.line(into, event, BOLD, "attach", &text);
            }
            What::Found(found) => self.found(into, event, found),
            What::LetGo(gone) => {
                let threads = plural(gone.threads, "thread");
                let text = format!("process {}, {threads}; it goes on", gone.pid);
                self.line(into, event, BOLD, "let go", &text);
            }
            What::Setup(setup) => self.setup(into, event, setup),
            What::Register(register) => self.register(into, event, register),
            What::Enter(enter) => {
                if enter.answer.is_none() {
                    self.asleep.insert(enter.enter);
                }
                let text = format!("{}{}", self.which(enter.ring), self.enter(enter));
                self.line(into, event, BOLD, "enter", &text);
            }
            What::Return(back) => self.returned(into, event, back),
            What::Submit(submit) => self.submit(into, event, submit),
            What::Complete(complete) => self.complete(into, event, complete),
            What::Unseen(unseen) => {
                let mut parts = Vec::new();
                for (count, what) in [
                    (unseen.entries, "entries went by unseen"),
                    (unseen.completions, "completions went by unseen"),
                    (unseen.dropped, "entries dropped: their index is out of range"),
                ] {
                    if count > 0 {
                        parts.push(format!("{count} {what}"));
                    }
                }
                let text = format!("{}{}", self.which(Some(unseen.ring)), parts.join(", "));
                self.line(into, event, YELLOW, "unseen", &text);
            }
            What::Poller(poller) => {
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
            What::Workers(it) => self.line(into, event, CYAN, "workers", &workers(it)),
            What::Close(close) => {
                self.rings.remove(&close.ring);
                let mut text = format!("ring {}", close.ring);
                if close.never_submitted > 0 {
                    let _ = write!(
                        text,
                        ", {} never submitted",
                        plural(close.never_submitted, "entry")
                    );
                }
                if close.never_reaped > 0 {
                    let _ =
                        write!(text, ", {} never reaped", plural(close.never_reaped, "completion"));
                }
                self.line(into, event, BOLD, "close", &text);
            }
            What::Task(task) => {
                self.tasks += 1;
                let what = if task.process { "a child process" } else { "a thread" };
                self.line(into, event, BOLD, "start", &format!("{what}, {}", task.new));
            }
            What::Diagnosis(diagnosis) => self.diagnosis(into, event, diagnosis),
            What::Exit(exit) => {
                let text = match &exit.signal {
                    Some(signal) => format!("process {}, killed by {signal}", exit.pid),
                    None => format!("process {}, status {}", exit.pid, exit.status),
                };
                self.line(into, event, BOLD, "exit", &text);
            }
        }
    }

    fn diagnosis(&self, into: &mut String, event: &Event, diagnosis: &Diagnosis) {
        let Diagnosis { kind, seen, book, .. } = diagnosis;
        let text = format!("{}: {}{seen}", self.paint(RED, kind), self.which(diagnosis.ring));
        self.line(into, event, RED, "diagnosis", &text);
        for text in [diagnosis.advice(), format!("book: {book}")] {
            let line = format!("{:INDENT$}{text}", "");
            let _ = writeln!(into, "{}", folded(&line, self.style.width, HANG));
        }
    }

    fn found(&mut self, into: &mut String, event: &Event, found: &Found) {
        let fds: Vec<String> = found.fds.iter().map(i32::to_string).collect();
        let fds = match fds.is_empty() {
            true => "no descriptor".to_string(),
            false => format!("fd {}", fds.join(" ")),
        };
        let name = match (found.ring, &found.not_followed) {
            (Some(ring), _) => {
                self.rings.insert(ring);
                format!("ring {ring} ({fds})")
            }
            (None, reason) => {
                format!("{fds}, which cannot be followed ({})", reason.as_deref().unwrap_or("?"))
            }
        };
        let sizes = format!(
            "{}, {}",
            plural(found.sq_entries, "entry"),
            plural(found.cq_entries, "completion")
        );
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

    fn setup(&mut self, into: &mut String, event: &Event, setup: &Setup) {
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
        let name = match (setup.ring, &setup.not_followed) {
            (Some(ring), _) => {
                self.rings.insert(ring);
                format!("ring {ring} (fd {})", setup.result)
            }
            (None, reason) => format!(
                "fd {}, which cannot be followed ({})",
                setup.result,
                reason.as_deref().unwrap_or("?")
            ),
        };
        self.line(into, event, BOLD, "setup", &format!("asks for {asked}"));
        let mut text = format!("{:INDENT$}is granted {name}", "");
        if let Some(granted) = &setup.granted {
            let _ = write!(text, ": {}", sizes(granted));
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

    fn register(&mut self, into: &mut String, event: &Event, register: &Register) {
        let mut text = self.which(register.ring) + &register.op;
        if !register.detail.is_empty() {
            let _ = write!(text, ", {}", register.detail);
        }
        if let Some(error) = &register.error {
            text = format!("{text}: {}", self.paint(RED, &format!("refused: {error}")));
        } else if let Some(resized) = &register.resized {
            let _ = write!(text, ": now {}", sizes(resized));
        }
        self.line(into, event, BOLD, "register", &text);
    }

    fn enter(&self, enter: &Enter) -> String {
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
        let flags: Vec<&str> = enter
            .flags
            .iter()
            .map(String::as_str)
            .filter(|flag| !ordinary.contains(flag))
            .collect();
        if !flags.is_empty() {
            parts.push(flags.join(" "));
        }
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

    fn returned(&mut self, into: &mut String, event: &Event, back: &Return) {
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

    fn submit(&self, into: &mut String, event: &Event, submit: &Submit) {
        let mut text = self.which(Some(submit.ring));
        let _ = write!(text, "{}", self.paint(CYAN, &submit.op));
        if !submit.words.is_empty() {
            let _ = write!(text, " {}", submit.words);
        }
        let shown = ["FIXED_FILE", "BUFFER_SELECT"];
        let flags: Vec<&str> =
            submit.flags.iter().map(String::as_str).filter(|flag| !shown.contains(flag)).collect();
        if !flags.is_empty() {
            let _ = write!(text, " {}", self.paint(YELLOW, &flags.join(" ")));
        }
        let _ = write!(text, " {}", self.paint(DIM, &unbroken(&format!("[{}]", submit.meaning))));
        self.line(into, event, CYAN, &format!("  → {}", submit.seq), &text);
    }

    fn complete(&self, into: &mut String, event: &Event, complete: &Complete) {
        let mut text = self.which(Some(complete.ring));
        let op = complete.op.as_deref().unwrap_or("(no entry seen)");
        let colour = if complete.error.is_some() { RED } else { GREEN };
        let _ = write!(text, "{} {}", self.paint(colour, op), complete.words);
        text += &buffers(complete);
        let flags: Vec<&str> =
            complete.flags.iter().map(String::as_str).filter(|flag| *flag != "BUFFER").collect();
        if !flags.is_empty() {
            let _ = write!(text, " {}", self.paint(YELLOW, &flags.join(" ")));
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
}

/// Some events of a trace as lines without times and colours.
pub fn lines(picked: &[Event], width: usize) -> Vec<String> {
    const TIME: usize = 11;
    let style = Style { colour: false, width: width + TIME };
    let mut text: Text<std::io::Sink> = Text::new(std::io::sink(), style);
    let mut lines = String::new();
    // A list for the whole kernel says nothing about one program.
    for event in picked {
        if let What::Setup(Setup { granted: Some(granted), .. }) = &event.what {
            text.features.clone_from(&granted.features);
        }
    }
    for event in picked {
        let mut event = event.clone();
        if let What::Complete(complete) = &mut event.what {
            complete.after_us = None;
        }
        text.event(&mut lines, &event);
    }
    lines.lines().map(|line| line.chars().skip(TIME).collect()).collect()
}

/// `, worker?`: where an operation ran, if neither at once nor when its time had come.
fn elsewhere(ran: Option<Ran>) -> String {
    match ran {
        None => String::new(),
        Some(Ran { place: Place::Inline | Place::Timer | Place::Event, .. }) => String::new(),
        Some(ran) => format!(", {ran}"),
    }
}

/// `3 (1 new, for entry 5?)`: how many workers there are, and what changed.
fn workers(workers: &Workers) -> String {
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

fn sizes(granted: &Granted) -> String {
    format!("{}, {} completions", plural(granted.sq_entries, "entry"), granted.cq_entries)
}

impl<W: Write + Send> Sink for Text<W> {
    fn take(&mut self, events: &[Event]) {
        let mut text = String::new();
        if !self.begun {
            self.begun = true;
            let legend = "  seconds  → the program asks  ← the kernel answers  [user_data]";
            let _ = writeln!(text, "{}", self.paint(DIM, legend));
        }
        for event in events {
            self.event(&mut text, event);
        }
        // A reader that has gone away (`| head`) is no reason to stop the program.
        if let Some(out) = &mut self.out {
            if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
                self.out = None;
            }
        }
    }
}
