//! The learner's place, and what each key does. It uses no terminal: the screen, the plain mode and
//! the tests drive it in the same way.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::pages::{Choice, Page, keys};
use super::placement::{Start, next_test};
use crate::exercise::book;
use crate::exercise::exercises::Exercise;
use crate::exercise::progress::Progress;
use crate::exercise::record::Record;
use crate::exercise::verdict::{Paint, Verdict};
use crate::exercise::workbook::Workbook;

/// What the caller must do after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Show the page.
    Show,
    /// Open this file in an editor.
    Edit(PathBuf),
    /// Check the program.
    Check,
    /// Follow another program.
    Follow,
    /// Stop.
    Quit,
}

/// A question that the next key answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    GiveUp,
    Reset,
    EndTest,
}

/// A learner at work.
pub struct Session {
    workspace: PathBuf,
    workbook: Workbook,
    pub(super) all: Vec<Exercise>,
    at: usize,
    /// Whether the exercise is part of a test.
    pub(super) testing: bool,
    pub(super) progress: Progress,
    pub(super) question: Option<Question>,
    last: Option<Record>,
    pub(super) paint: Paint,
    /// Whether keys are read as letters in a line; then there are no arrow keys.
    pub(super) plain: bool,
    pub(super) page: Page,
    /// How many times the page has changed.
    shown: u64,
    /// A line or two of news.
    pub notice: String,
}

impl Session {
    /// Begins at `start`.
    ///
    /// # Errors
    /// If the workbook cannot be written.
    pub fn begin(
        workspace: &Path,
        workbook: Workbook,
        all: Vec<Exercise>,
        start: Start,
        paint: Paint,
        plain: bool,
    ) -> Result<Session> {
        let mut progress = Progress::load(workbook.folder())?;
        let spoilt = progress.notice();
        progress.change(|progress| progress.rename(&all))?;
        let mut session = Session {
            workspace: workspace.to_path_buf(),
            workbook,
            all,
            at: 0,
            testing: false,
            progress,
            question: None,
            last: None,
            paint,
            plain,
            page: Page::Brief(String::new()),
            shown: 0,
            notice: String::new(),
        };
        match start {
            Start::LeftOff if !session.progress.testing => session.open(session.left_off())?,
            Start::LeftOff | Start::Test => session.test()?,
            Start::At(at) => session.open(at)?,
            Start::From(at) => session.open_from(at, at)?,
            Start::FromDay(at) => session.start_day(at)?,
        }
        if let Some(words) = spoilt {
            session.notice = words;
        }
        Ok(session)
    }

    /// The current exercise.
    pub fn exercise(&self) -> &Exercise {
        &self.all[self.at]
    }

    /// The learner's program.
    pub fn program(&self) -> PathBuf {
        self.workbook.program(&self.exercise().name)
    }

    /// The program's path, as the learner sees it.
    pub fn shown_program(&self) -> String {
        let path = self.program();
        path.strip_prefix(&self.workspace).unwrap_or(&path).display().to_string()
    }

    pub(super) fn open(&mut self, at: usize) -> Result<()> {
        let left = std::mem::take(&mut self.testing);
        self.enter(at)?;
        if left {
            self.notice
                .push_str("\nYou left the test: `cargo xtask learn --test` goes on with it.");
        }
        Ok(())
    }

    pub(super) fn enter(&mut self, at: usize) -> Result<()> {
        self.at = at;
        self.last = None;
        self.workbook.begin(&self.all[at])?;
        let (name, testing) = (self.exercise().name.clone(), self.testing);
        self.progress.change(|progress| {
            (progress.current, progress.testing) = (Some(name), testing);
        })?;
        self.show_brief()?;
        self.notice = format!("Your program: {}; every save is checked.", self.shown_program());
        Ok(())
    }

    /// Puts the starter back if the learner's program was removed.
    fn begin_again(&mut self) -> Result<Act> {
        self.enter(self.at)?;
        self.notice = format!("{} was gone. The starter is in its place.", self.shown_program());
        Ok(Act::Follow)
    }

    fn show_brief(&mut self) -> Result<()> {
        let brief = self.exercise().brief()?;
        self.show(Page::Brief(brief));
        Ok(())
    }

    fn show(&mut self, page: Page) {
        self.page = page;
        self.shown += 1;
    }

    /// How many times the page has changed, so that the caller knows to which page its output or
    /// scrolling belongs.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// The page, in lines that are wrapped at `width` columns where possible.
    pub fn page(&self, width: usize) -> String {
        self.page.lines(self, width)
    }

    /// Whether the next key answers a question.
    pub fn asks(&self) -> bool {
        self.question.is_some()
    }

    /// Whether the list is shown, to choose from.
    pub fn chooses(&self) -> bool {
        matches!(self.page, Page::List(_))
    }

    /// Moves the selection of the list down by this many.
    pub fn point(&mut self, by: i32) {
        let last = self.all.len().saturating_sub(1);
        if let Page::List(choice) = &mut self.page {
            choice.at = choice.at.saturating_add_signed(by as isize).min(last);
            choice.typed.clear();
            self.shown += 1;
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        self.progress.is_behind(&self.exercise().name)
    }

    pub(super) fn next(&self) -> Option<usize> {
        let open = |at: &usize| !self.progress.is_behind(&self.all[*at].name);
        let after = self.at + 1..self.all.len();
        after.clone().find(open).or_else(|| (0..self.at).find(open)).or(after.into_iter().next())
    }

    /// Handles a key.
    ///
    /// # Errors
    /// If a file cannot be read or written.
    pub fn press(&mut self, key: char) -> Result<Act> {
        self.notice.clear();
        if let Some(question) = self.question.take() {
            return self.answer(question, key == 'y' || key == 'Y');
        }
        if let Page::List(choice) = &mut self.page {
            match key {
                '0'..='9' => {
                    choice.digit(key, self.all.len());
                    self.shown += 1;
                    return Ok(Act::Show);
                }
                '\r' | '\n' => {
                    let at = choice.at;
                    self.open(at)?;
                    return Ok(Act::Follow);
                }
                _ => {}
            }
        }
        match key {
            'q' | 'Q' => return Ok(Act::Quit),
            'e' | 'c' | '\r' | '\n' if !self.program().exists() => return self.begin_again(),
            'e' => return Ok(Act::Edit(self.program())),
            'c' | '\r' | '\n' => return Ok(Act::Check),
            'i' => self.show_brief()?,
            'h' => self.hint()?,
            't' => self.trace(),
            'b' => self.book(),
            'l' => self.show(Page::List(Choice { at: self.at, typed: String::new() })),
            '?' => self.show(Page::Text(keys(self.plain))),
            'n' | 's' if self.testing && !self.is_passed() => {
                self.question = Some(Question::EndTest);
                self.notice = format!("End the test and start with day {}?", self.exercise().day);
            }
            's' => return self.solution(),
            'r' => {
                self.question = Some(Question::Reset);
                self.notice =
                    "Put the starter back? Your program is kept: u brings it back.".to_string();
            }
            'u' => return self.undo(),
            'n' => return self.go_on(),
            'p' if self.at > 0 => {
                self.open(self.at - 1)?;
                return Ok(Act::Follow);
            }
            'p' => self.notice = "This is the first exercise.".to_string(),
            _ => self.notice = "There is no such key; ? shows all keys.".to_string(),
        }
        Ok(Act::Show)
    }

    fn answer(&mut self, question: Question, yes: bool) -> Result<Act> {
        if !yes {
            self.notice = "Nothing was changed.".to_string();
            return Ok(Act::Show);
        }
        match question {
            Question::EndTest => {
                let day = self.exercise().day;
                let first = self.all.iter().position(|exercise| exercise.day == day);
                self.start_day(first.unwrap_or(self.at))?;
                Ok(Act::Follow)
            }
            Question::GiveUp => {
                let name = self.exercise().name.clone();
                self.progress.change(|progress| progress.given_up.insert(name))?;
                self.solution()
            }
            Question::Reset => {
                let exercise = self.exercise().clone();
                let backup = self.workbook.reset(&exercise)?;
                self.show_brief()?;
                self.notice = match backup {
                    Some(_) => "The starter is back; u brings your program back.".to_string(),
                    None => "This is the starter already; nothing was changed.".to_string(),
                };
                Ok(Act::Follow)
            }
        }
    }

    fn undo(&mut self) -> Result<Act> {
        let exercise = self.exercise().clone();
        self.notice = match self.workbook.undo(&exercise) {
            Ok(None) => "Your program is back.".to_string(),
            Ok(Some(_)) => {
                "An earlier program of yours is back; u changes back to the other one.".to_string()
            }
            Err(error) => format!("{error:#}"),
        };
        Ok(Act::Show)
    }

    fn go_on(&mut self) -> Result<Act> {
        if self.testing {
            self.test()?;
            return Ok(Act::Follow);
        }
        if !self.is_behind() {
            self.notice =
                "The next one opens when this one is passed or given up (s); l opens any exercise."
                    .to_string();
            return Ok(Act::Show);
        }
        match self.next() {
            Some(next) => {
                self.open(next)?;
                Ok(Act::Follow)
            }
            None => {
                self.notice = "That was the last exercise.".to_string();
                Ok(Act::Show)
            }
        }
    }

    /// Takes one more hint each time, and shows all that were taken.
    fn hint(&mut self) -> Result<()> {
        let hints = self.exercise().hints()?;
        let name = self.exercise().name.clone();
        let taken = self.progress.change(|progress| {
            let taken = progress.hints.entry(name).or_default();
            *taken = (*taken + 1).min(hints.len());
            *taken
        })?;
        let mut page = String::new();
        for (nth, hint) in hints.iter().take(taken).enumerate() {
            page.push_str(&format!("## Hint {} of {}\n\n{hint}\n\n", nth + 1, hints.len()));
        }
        self.show(Page::Text(page));
        self.notice = match hints.len() - taken {
            0 => "There are no more hints.".to_string(),
            left => format!("h shows the next one; {left} left"),
        };
        Ok(())
    }

    /// Shows the trace of the last check.
    fn trace(&mut self) {
        match &self.last {
            Some(record) => self.show(Page::Trace(Box::new(record.clone()))),
            None => self.notice = "No run so far: save the program, or press c.".to_string(),
        }
    }

    fn book(&mut self) {
        let place = self.exercise().about.book.clone();
        let where_it_is = book::built(&self.workspace, &place)
            .unwrap_or_else(|| format!("{place} (`cargo xtask book serve` shows it)"));
        match book::section(&self.workspace, &place) {
            Some(section) => {
                self.show(Page::Text(section));
                self.notice = where_it_is;
            }
            None => self.notice = format!("The page is not here: {where_it_is}"),
        }
    }

    pub(super) fn is_passed(&self) -> bool {
        self.progress.passed.contains(&self.exercise().name)
    }

    /// Shows the solution after passing or giving up.
    fn solution(&mut self) -> Result<Act> {
        let name = self.exercise().name.clone();
        if !self.is_passed() && !self.progress.given_up.contains(&name) {
            self.question = Some(Question::GiveUp);
            self.notice = format!(
                "{name} is not passed. Give it up and see the solution? The list marks it then."
            );
            return Ok(Act::Show);
        }
        let text = std::fs::read_to_string(self.exercise().solution())?;
        self.show(Page::Solution(text));
        self.notice = "The solution. Carets stand under what was added.".to_string();
        Ok(Act::Show)
    }

    /// Handles the end of a check.
    ///
    /// # Errors
    /// If the progress cannot be written; the verdict is still shown.
    pub fn judged(&mut self, verdict: Verdict, record: Option<Record>) -> Result<()> {
        if record.is_some() {
            self.last = record;
        }
        self.notice.clear();
        if matches!(verdict, Verdict::Failed(_)) && verdict.word() != "not observed" {
            let end = if self.testing { ", n ends the test" } else { "" };
            self.notice = format!("t shows the whole trace, i the task again{end}");
        }
        let kept = self.remember(&verdict);
        let next = self.what_next(&verdict);
        self.show(Page::Verdict(Box::new(verdict), next));
        kept
    }

    fn remember(&mut self, verdict: &Verdict) -> Result<()> {
        let (all, testing, name) = (&self.all, self.testing, &self.all[self.at].name);
        if verdict.passed() {
            self.testing = self.progress.change(|progress| {
                progress.pass(name, verdict.cost());
                if testing {
                    progress.testing = next_test(all, progress).is_some();
                }
                testing && progress.testing
            })?;
            return Ok(());
        }
        if verdict.word() == "not observed" && !self.is_passed() {
            self.progress.change(|progress| progress.not_observed.insert(name.clone()))?;
        }
        Ok(())
    }
}
