//! The loop on a terminal's whole screen: a header, a page that scrolls, and three lines below.

use anyhow::{Context, Result};

use super::edit;
use super::saves::Saves;
use super::session::{Act, Session};
use super::terminal::{Key, Terminal, pieces};
use super::worker::{Step, Worker};
use crate::exercise::workbook::Workbook;

/// Milliseconds between two looks at everything that is not a key.
const TICK: u16 = 100;
/// Lines that are not the page: the header, a gap, the news, the bar and the keys.
const FRAME: usize = 5;

struct Screen {
    terminal: Terminal,
    session: Session,
    saves: Saves,
    worker: Worker,
    top: usize,
}

/// Runs it until the learner quits.
///
/// # Errors
/// If the terminal goes away, or a file cannot be read or written.
pub fn run(session: Session, workbook: Workbook) -> Result<()> {
    // First, for it blocks signals, and threads take that over from who makes them.
    let terminal = Terminal::open().context("taking over the terminal; try --plain")?;
    let mut saves = Saves::new(&workbook.folder().join("src/bin"));
    saves.follow(&session.program());
    let worker = Worker::new(workbook);
    let mut screen = Screen { terminal, session, saves, worker, top: 0 };
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
        screen.news()?;
    }
}

impl Screen {
    /// Whether to go on.
    fn press(&mut self, key: Key) -> Result<bool> {
        let room = self.room();
        let end = self.lines().len().saturating_sub(room);
        match key {
            Key::Quit => return Ok(false),
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
        let before = self.session.page.clone();
        match self.session.press(letter)? {
            Act::Quit => return Ok(false),
            Act::Show => {}
            Act::Check => self.check(),
            Act::Follow => {
                self.worker.forget();
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
        if before != self.session.page {
            self.top = 0;
        }
        Ok(true)
    }

    fn check(&mut self) {
        let exercise = self.session.exercise().clone();
        self.worker.check(&exercise);
        self.session.notice = format!("compiling {} …", exercise.name);
    }

    fn news(&mut self) -> Result<()> {
        while let Some(step) = self.worker.news() {
            match step {
                Step::Compiled => {
                    let name = &self.session.exercise().name;
                    self.session.notice = format!("running {name} under the tracer …");
                }
                Step::Done(done) => {
                    let (verdict, record) = *done;
                    self.session.judged(&verdict, record)?;
                    self.top = 0;
                }
                Step::Broken(words) => self.session.notice = words,
            }
        }
        Ok(())
    }

    /// Lines of the page that fit.
    fn room(&self) -> usize {
        self.terminal.size().1.saturating_sub(FRAME).max(1)
    }

    /// The page as lines that fit.
    fn lines(&self) -> Vec<String> {
        let (columns, _) = self.terminal.size();
        self.session.page.lines().flat_map(|line| pieces(line, columns)).collect()
    }

    fn draw(&mut self) -> Result<()> {
        let room = self.room();
        let (columns, _) = self.terminal.size();
        let lines = self.lines();
        self.top = self.top.min(lines.len().saturating_sub(room));
        let shown = &lines[self.top..lines.len().min(self.top + room)];
        let mut rows = vec![self.session.header(), String::new()];
        rows.extend(shown.iter().cloned());
        rows.resize(room + 2, String::new());
        rows.push(self.session.notice.lines().next().unwrap_or_default().to_string());
        let mut bar = self.session.bar();
        let below = lines.len() - self.top - shown.len();
        if below > 0 || self.top > 0 {
            let more = format!("lines {}-{} of {}", self.top + 1, lines.len() - below, lines.len());
            let gap = columns.min(80).saturating_sub(bar.chars().count() + more.len()).max(2);
            bar.push_str(&(" ".repeat(gap) + &more));
        }
        rows.push(bar);
        rows.push(self.session.keys());
        self.terminal.draw(&rows).context("drawing")
    }
}
