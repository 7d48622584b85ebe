//! The events as a conversation, for people: what the program says to the kernel goes to the
//! right, what the kernel says back comes from it.

mod crossing;
mod ring;

use std::collections::HashSet;
use std::fmt::Write as _;
use std::io::Write;

use common::text::plural;

use super::event::{Diagnosis, Event, Setup, What};
use super::names::printable;
use super::watch::Sink;
use super::wrap::folded;
use ring::workers;

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
            What::Enter(enter) => self.enter(into, event, enter),
            What::Return(back) => self.returned(into, event, back),
            What::Submit(submit) => self.submit(into, event, submit),
            What::Complete(complete) => self.complete(into, event, complete),
            What::Unseen(unseen) => self.unseen(into, event, unseen),
            What::Poller(poller) => self.poller(into, event, poller),
            What::Workers(changed) => self.line(into, event, CYAN, "workers", &workers(changed)),
            What::Close(close) => self.close(into, event, close),
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
