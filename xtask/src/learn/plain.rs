//! The loop in lines: a letter and Enter for a key, nothing moves on the screen.

use std::io::{self, Write};
use std::os::fd::AsFd;

use anyhow::Result;
use common::text::{WIDTH, wrap};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::edit;
use super::saves::Saves;
use super::session::{Act, Session};
use super::worker::{Step, Worker};
use crate::exercise::workbook::Workbook;

/// Milliseconds between two looks at everything that is not a line.
const TICK: u16 = 100;

/// Runs it until the learner quits, or the input ends and the last check is over.
///
/// # Errors
/// If a file cannot be read or written.
pub fn run(mut session: Session, workbook: Workbook) -> Result<()> {
    let mut saves = Saves::new(&workbook.folder().join("src/bin"));
    saves.follow(&session.program());
    let mut worker = Worker::new(workbook);
    let mut input = Input::default();
    let mut checking = false;
    show(&session);
    while !input.over() || checking {
        // A check is waited for: what is typed meanwhile is about its verdict.
        let line = if checking { input.pause() } else { input.line() };
        if let Some(line) = line {
            match session.press(line.trim().chars().next().unwrap_or('?'))? {
                Act::Quit => return Ok(()),
                Act::Show => show(&session),
                Act::Check => {
                    checking = true;
                    worker.check(session.exercise());
                    say(&format!("compiling {}", session.exercise().name));
                }
                Act::Follow => {
                    worker.forget();
                    saves.follow(&session.program());
                    show(&session);
                }
                Act::Edit(path) => {
                    if let Err(error) = edit(&path) {
                        say(&format!("{error:#}"));
                    }
                }
            }
        }
        if saves.saved() {
            checking = true;
            worker.check(session.exercise());
            say(&format!("saved: compiling {}", session.exercise().name));
        }
        while let Some(step) = worker.news() {
            match step {
                Step::Compiled => say("running it under the tracer"),
                Step::Done(done) => {
                    checking = false;
                    session.judged(&done.0, done.1)?;
                    show(&session);
                }
                Step::Broken(words) => {
                    checking = false;
                    say(&words);
                }
            }
        }
    }
    Ok(())
}

fn show(session: &Session) {
    say(&format!("\n{}", session.header()));
    say(&format!("\n{}\n", session.page.trim_end()));
    if !session.notice.is_empty() {
        say(&session.notice);
    }
    // No picture of a bar: a screen reader would read every dash.
    say(&session.done());
    say(&wrap(&format!("Type a letter and Enter: {}", session.keys()), WIDTH, 2));
}

/// A reader that has gone away is no failure.
fn say(text: &str) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Lines of the standard input, without ever waiting for long, and without a thread that
/// would take an editor's keys.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    ended: bool,
}

impl Input {
    /// Nothing is left to be read.
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
