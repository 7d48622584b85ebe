//! The loop in lines: the learner types a letter and Enter for a key. It moves nothing on the
//! screen.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Result;
use common::text::{WIDTH, wrap};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::editor::edit;
use super::pages::folded;
use super::saves::Saves;
use super::session::{Act, Session};
use super::worker::{News, Worker};
use crate::exercise::workbook::Workbook;

/// Milliseconds between two looks at everything except input.
const TICK: u16 = 100;

/// Runs the loop until the learner quits, or the input ends and the last check is over.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(mut session: Session, workbook: Workbook) -> Result<()> {
    let mut saves = Saves::new(&workbook.folder().join("src/bin"));
    saves.follow(&session.program());
    let mut worker = Worker::new(workbook, &session.exercise().name);
    let mut input = Input::default();
    let mut checking = false;
    let mut said = Said::default();
    said.news(&session);
    if let Some(words) = worker.notice() {
        say(&wrap(words, WIDTH, 0));
    }
    while !input.over() || checking {
        // Waits for a check, because a key typed meanwhile is for its verdict.
        let line = if checking { input.pause() } else { input.line() };
        for key in line.as_deref().map(|line| keys(line, &session)).unwrap_or_default() {
            match session.press(key)? {
                Act::Quit => return Ok(()),
                Act::Show => {}
                Act::Check => {
                    checking = true;
                    session.notice = worker.check(session.exercise());
                }
                Act::Follow => {
                    worker.forget();
                    saves.follow(&session.program());
                }
                Act::Edit(path) => {
                    if let Err(error) = edit(&path) {
                        session.notice = format!("{error:#}");
                    }
                }
            }
        }
        if line.is_some() {
            said.news(&session);
        }
        if saves.saved() {
            checking = true;
            say(&format!("saved: {}", worker.check(session.exercise())));
        }
        while let Some(step) = worker.news() {
            match step {
                News::Ready => say("The libraries are compiled."),
                News::Compiled => say("running it under the tracer"),
                News::Done(done) => {
                    checking = false;
                    let (verdict, record) = *done;
                    if let Err(error) = session.judged(verdict, record) {
                        session.notice = format!("{error:#}");
                    }
                    said.news(&session);
                }
                News::Broken(words) => {
                    checking = false;
                    say(&words);
                }
            }
        }
    }
    Ok(())
}

/// The keys of a line: its first letter, or a number in the list and the Enter after it.
fn keys(line: &str, session: &Session) -> Vec<char> {
    let line = line.trim();
    if session.chooses() && line.chars().all(|letter| letter.is_ascii_digit()) {
        return line.chars().chain(['\n']).collect();
    }
    vec![line.chars().next().unwrap_or('?')]
}

/// The last printed texts. Only new texts are printed, because a screen reader reads all of them.
#[derive(Default)]
struct Said {
    shown: u64,
    header: String,
    done: String,
    keys: Vec<Vec<&'static str>>,
}

impl Said {
    fn news(&mut self, session: &Session) {
        let fresh = |old: &mut String, new: String| {
            let fresh = *old != new;
            *old = new;
            fresh
        };
        if fresh(&mut self.header, session.header()) {
            say(&format!("\n{}", self.header));
        }
        if self.shown != session.shown() {
            self.shown = session.shown();
            say(&format!("\n{}\n", session.page(WIDTH).trim_end()));
        }
        if !session.notice.is_empty() {
            say(&wrap(&session.notice, WIDTH, 0));
        }
        // Without the bar, because a screen reader would read every dash.
        if fresh(&mut self.done, session.done()) {
            say(&self.done);
        }
        // Each text once, except the keys for a question, which follow it each time.
        let keys = session.keys();
        if session.asks() || !self.keys.contains(&keys) {
            let parts = [&["Type a letter and Enter:"], keys.as_slice()].concat();
            say(&folded(&parts, WIDTH - 2).join("\n  "));
            self.keys.push(keys);
        }
    }
}

/// Prints a line. A closed output is not a failure.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Lines of the standard input. It does not wait long, and uses no thread, which would take an
/// editor's keys.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    ended: bool,
}

impl Input {
    /// The input has ended.
    fn over(&self) -> bool {
        self.ended && !self.bytes.contains(&b'\n')
    }

    fn pause(&self) -> Option<String> {
        std::thread::sleep(std::time::Duration::from_millis(TICK.into()));
        None
    }

    fn line(&mut self) -> Option<String> {
        if let Some(line) = self.buffered() {
            return Some(line);
        }
        if self.ended {
            return self.pause();
        }
        let stdin = io::stdin();
        let mut wanted = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN)];
        if poll(&mut wanted, PollTimeout::from(TICK)).unwrap_or(0) <= 0 {
            return None;
        }
        let mut bytes = [0; 512];
        match nix::unistd::read(&stdin, &mut bytes) {
            Ok(0) => self.ended = true,
            Ok(count) => self.bytes.extend_from_slice(&bytes[..count]),
            Err(nix::errno::Errno::EINTR | nix::errno::Errno::EAGAIN) => {}
            Err(_) => self.ended = true,
        }
        self.buffered()
    }

    fn buffered(&mut self) -> Option<String> {
        let end = self.bytes.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.bytes.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).into_owned())
    }
}
