//! The loop on the whole terminal: a header, a scrolling page, and a few lines below.

use anyhow::{Context, Result};
use common::text::wrap;

use super::editor::edit;
use super::pages::folded;
use super::saves::Saves;
use super::session::{Act, Session};
use super::terminal::{Key, Terminal, pieces};
use super::worker::{News, Worker};
use crate::exercise::workbook::Workbook;

/// Milliseconds between two looks at everything except keys.
const TICK: u16 = 100;
/// The header and the gap under it.
const ABOVE: usize = 2;

struct Screen {
    terminal: Terminal,
    session: Session,
    saves: Saves,
    worker: Worker,
    /// The progress of the running check.
    checking: Option<String>,
    top: usize,
    page: Shown,
}

/// A page's lines, and the page and width for which they were made.
#[derive(Default)]
struct Shown {
    of: (u64, usize),
    lines: Vec<String>,
}

/// Runs the loop until the learner quits.
///
/// # Errors
/// If the terminal is closed, or a file cannot be read or written.
pub fn run(session: Session, workbook: Workbook) -> Result<()> {
    // First, because it blocks signals, and a thread inherits that from the thread that makes it.
    let terminal = Terminal::open().context("taking over the terminal; try --plain")?;
    let mut saves = Saves::new(&workbook.folder().join("src/bin"));
    saves.follow(&session.program());
    let worker = Worker::new(workbook, &session.exercise().name);
    let (checking, page) = (None, Shown::default());
    let mut screen = Screen { terminal, session, saves, worker, checking, top: 0, page };
    if let Some(words) = screen.worker.notice() {
        screen.session.notice.push_str(&format!("\n{words}"));
    }
    loop {
        screen.draw()?;
        for key in screen.terminal.keys(TICK) {
            if !screen.press(key)? {
                return Ok(());
            }
        }
        if screen.saves.saved() {
            screen.check();
        }
        screen.news();
    }
}

impl Screen {
    /// Returns whether to go on.
    fn press(&mut self, key: Key) -> Result<bool> {
        let room = self.room();
        let end = self.page.lines.len().saturating_sub(room);
        match key {
            Key::Quit => return Ok(false),
            Key::Suspend => {
                self.terminal.stop()?;
                // No program could be watched during the check.
                if self.checking.is_some() {
                    self.check();
                }
            }
            Key::Line(by) if self.session.chooses() => self.session.point(by),
            Key::Line(by) => self.top = self.top.saturating_add_signed(by as isize).min(end),
            Key::Page(by) => {
                let by = by as isize * room.saturating_sub(2) as isize;
                self.top = self.top.saturating_add_signed(by).min(end);
            }
            Key::Home => self.top = 0,
            Key::End => self.top = end,
            Key::Char(letter) => return self.letter(letter),
        }
        Ok(true)
    }

    fn letter(&mut self, letter: char) -> Result<bool> {
        match self.session.press(letter)? {
            Act::Quit => return Ok(false),
            Act::Show => {}
            Act::Check => self.check(),
            Act::Follow => {
                self.worker.forget();
                self.checking = None;
                self.saves.follow(&self.session.program());
            }
            Act::Edit(path) => {
                self.terminal.suspend();
                let edited = edit(&path);
                self.terminal.resume()?;
                if let Err(error) = edited {
                    self.session.notice = format!("{error:#}");
                }
            }
        }
        Ok(true)
    }

    fn check(&mut self) {
        let exercise = self.session.exercise().clone();
        self.session.notice.clear();
        self.checking = Some(self.worker.check(&exercise));
    }

    fn news(&mut self) {
        while let Some(step) = self.worker.news() {
            match step {
                News::Ready if self.checking.is_some() => {
                    self.checking = Some(format!("compiling {} …", self.session.exercise().name));
                }
                News::Ready => self.session.notice = "The libraries are compiled.".to_string(),
                News::Compiled => {
                    let name = &self.session.exercise().name;
                    self.checking = Some(format!("running {name} under the tracer …"));
                }
                News::Done(done) => {
                    self.checking = None;
                    let (verdict, record) = *done;
                    if let Err(error) = self.session.judged(verdict, record) {
                        self.session.notice = format!("{error:#}");
                    }
                }
                News::Broken(words) => {
                    self.checking = None;
                    self.session.notice = words;
                }
            }
        }
    }

    /// The lines below the page: the notice, the bar and the keys, wrapped at the width.
    fn below(&self, more: &str) -> Vec<String> {
        let (columns, rows) = self.terminal.size();
        let bar = self.session.bar();
        let bar = if bar.chars().count() > columns { self.session.done() } else { bar };
        let gap = columns.min(80).saturating_sub(bar.chars().count() + more.chars().count());
        let bar = if gap < 2 { bar } else { bar + &" ".repeat(gap) + more };
        let mut keys = vec![bar];
        keys.extend(folded(&self.session.keys(), columns));
        // The notice may be about a key, so a running check is shown below it.
        let notice = format!("{}\n{}", self.session.notice, self.checking.as_deref().unwrap_or(""));
        let news = wrap(notice.trim(), columns, 0);
        // A part of the page always stays visible.
        let room = rows.saturating_sub(ABOVE + 2 + keys.len()).max(1);
        let mut below: Vec<String> = news.lines().take(room).map(str::to_string).collect();
        if below.is_empty() {
            below.push(String::new());
        }
        below.extend(keys);
        below
    }

    /// Lines of the page that fit.
    fn room(&self) -> usize {
        self.terminal.size().1.saturating_sub(ABOVE + self.below("").len()).max(1)
    }

    fn draw(&mut self) -> Result<()> {
        let (columns, _) = self.terminal.size();
        let room = self.room();
        let of = (self.session.shown(), columns);
        if of != self.page.of {
            let page = self.session.page(columns);
            let lines = page.lines().flat_map(|line| pieces(line, columns)).collect();
            if self.page.of.0 != of.0 && !self.session.chooses() {
                self.top = 0;
            }
            self.page = Shown { of, lines };
            // The selected exercise of the list stays visible.
            if self.session.chooses() {
                let here = self.page.lines.iter().position(|line| line.starts_with('>'));
                let here = here.unwrap_or(0);
                self.top =
                    self.top.min(here.saturating_sub(2)).max((here + 2).saturating_sub(room));
            }
        }
        let lines = &self.page.lines;
        self.top = self.top.min(lines.len().saturating_sub(room));
        let shown = &lines[self.top..lines.len().min(self.top + room)];
        let mut rows = vec![self.session.header(), String::new()];
        rows.extend(shown.iter().cloned());
        rows.resize(room + ABOVE, String::new());
        let rest = lines.len() - self.top - shown.len();
        let more = if rest > 0 || self.top > 0 {
            format!("lines {}-{} of {}", self.top + 1, lines.len() - rest, lines.len())
        } else {
            String::new()
        };
        rows.extend(self.below(&more));
        self.terminal.draw(&rows).context("drawing")
    }
}
