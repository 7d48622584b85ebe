//! A learner at work: what is shown, and what each key does. It uses no terminal: the screen, the
//! plain mode and the tests drive it in the same way.
//!
//! [`moves`] goes to another exercise, and [`shows`] to another page.

mod moves;
mod shows;

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::course::Course;
use super::placement::Start;
use crate::exercise::exercises::Exercise;
use crate::exercise::paint::Paint;
use crate::exercise::progress::Progress;
use crate::exercise::record::Record;
use crate::exercise::verdict::Verdict;
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

/// The page on the screen.
#[derive(Clone, Debug)]
pub enum Page {
    /// The exercise's brief, as Markdown.
    Brief(String),
    /// Another text, as Markdown.
    Text(String),
    /// All keys.
    Keys,
    /// The solution, whose lines are not wrapped.
    Solution(String),
    /// The verdict of the last check.
    Verdict(Box<Verdict>),
    /// The trace of the last run.
    Trace(Box<Record>),
    /// All exercises, to choose from.
    List(Choice),
}

/// The selected exercise of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// Its place among all.
    pub at: usize,
    /// The last typed digits.
    pub typed: String,
}

impl Choice {
    /// Selects the exercise whose number the digits make, if there is one.
    pub fn digit(&mut self, digit: char, count: usize) {
        self.typed.push(digit);
        let number = |digits: &str| digits.parse().ok().filter(|nth| (1..=count).contains(nth));
        if number(&self.typed).is_none() {
            self.typed = digit.to_string();
        }
        if let Some(nth) = number(&self.typed) {
            self.at = nth - 1;
        }
    }
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
    pub(super) course: Course,
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
            course: Course { all, progress, at: 0, testing: false },
            question: None,
            last: None,
            paint,
            plain,
            page: Page::Brief(String::new()),
            shown: 0,
            notice: String::new(),
        };
        session.start(start)?;
        if let Some(words) = spoilt {
            session.notice = words;
        }
        Ok(session)
    }

    /// The current exercise.
    pub fn exercise(&self) -> &Exercise {
        self.course.exercise()
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

    /// How many times the page has changed, so that the caller knows to which page its output or
    /// scrolling belongs.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// Whether the next key answers a question.
    pub fn asks(&self) -> bool {
        self.question.is_some()
    }

    /// Whether the list is shown, to choose from.
    pub fn chooses(&self) -> bool {
        matches!(self.page, Page::List(_))
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
                    choice.digit(key, self.course.all.len());
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
            'l' => self.show(Page::List(Choice { at: self.course.at, typed: String::new() })),
            '?' => self.show(Page::Keys),
            'n' | 's' if self.course.testing && !self.course.is_passed() => {
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
            'p' if self.course.at > 0 => {
                self.open(self.course.at - 1)?;
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
                let first = self.course.all.iter().position(|exercise| exercise.day == day);
                self.start_day(first.unwrap_or(self.course.at))?;
                Ok(Act::Follow)
            }
            Question::GiveUp => {
                let name = self.exercise().name.clone();
                self.course.progress.change(|progress| progress.given_up.insert(name))?;
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
            let end = if self.course.testing { ", n ends the test" } else { "" };
            self.notice = format!("t shows the whole trace, i the task again{end}");
        }
        let kept = self.course.judged(&verdict);
        self.show(Page::Verdict(Box::new(verdict)));
        kept
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_point_at_an_exercise() {
        let mut choice = Choice { at: 6, typed: String::new() };
        choice.digit('2', 24);
        assert_eq!(choice.at, 1);
        choice.digit('3', 24);
        assert_eq!(choice.at, 22);
        // There is no exercise 234, but there is a 4.
        choice.digit('4', 24);
        assert_eq!(choice.at, 3);
        choice.digit('0', 24);
        assert_eq!(choice.at, 3, "neither 40 nor 0");
    }
}
