//! Where a learner is, and what each key does: without a terminal, so that the screen, the
//! plain mode and tests all drive the same.

use std::path::{Path, PathBuf};

use anyhow::Result;

use super::book;
use super::pages::{Choice, KEYS, Page};
use crate::exercise::exercises::Exercise;
use crate::exercise::progress::Progress;
use crate::exercise::record::Record;
use crate::exercise::verdict::{Paint, Verdict};
use crate::exercise::workbook::Workbook;

/// What is left to do after a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// Show the page.
    Show,
    /// Open this file in an editor.
    Edit(PathBuf),
    /// Check the program.
    Check,
    /// Another program is to be followed.
    Follow,
    /// Stop.
    Quit,
}

/// A question that the next key answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Question {
    GiveUp,
    Reset,
}

/// A learner at work.
pub struct Session {
    workspace: PathBuf,
    workbook: Workbook,
    pub(super) all: Vec<Exercise>,
    at: usize,
    pub(super) progress: Progress,
    pub(super) question: Option<Question>,
    last: Option<Record>,
    pub(super) paint: Paint,
    pub(super) page: Page,
    /// How often another page was shown.
    shown: u64,
    /// A line or two of news.
    pub notice: String,
}

impl Session {
    /// Begins where the learner left off, or at the exercise of that name.
    ///
    /// # Errors
    /// If the workbook cannot be written, or there is no such exercise.
    pub fn begin(
        workspace: &Path,
        workbook: Workbook,
        all: Vec<Exercise>,
        name: Option<&str>,
        paint: Paint,
    ) -> Result<Session> {
        let mut progress = Progress::load(workbook.folder())?;
        let spoilt = progress.notice();
        let wanted = match name {
            Some(name) => Some(crate::exercise::exercises::find(&all, name)?.name.clone()),
            None => progress.current.clone(),
        };
        let open = all.iter().position(|exercise| !progress.is_behind(&exercise.name));
        let wanted = wanted.and_then(|name| all.iter().position(|exercise| exercise.name == name));
        let at = wanted
            .filter(|at| name.is_some() || !progress.is_behind(&all[*at].name))
            .or(open)
            .or(wanted)
            .unwrap_or(0);
        let mut session = Session {
            workspace: workspace.to_path_buf(),
            workbook,
            all,
            at,
            progress,
            question: None,
            last: None,
            paint,
            page: Page::Brief(String::new()),
            shown: 0,
            notice: String::new(),
        };
        session.open(at)?;
        if let Some(words) = spoilt {
            session.notice = words;
        }
        Ok(session)
    }

    /// The exercise that is worked on.
    pub fn exercise(&self) -> &Exercise {
        &self.all[self.at]
    }

    /// The learner's program.
    pub fn program(&self) -> PathBuf {
        self.workbook.program(&self.exercise().name)
    }

    /// The program as it is to be named to the learner.
    pub fn shown_program(&self) -> String {
        let path = self.program();
        path.strip_prefix(&self.workspace).unwrap_or(&path).display().to_string()
    }

    fn open(&mut self, at: usize) -> Result<()> {
        self.at = at;
        self.last = None;
        self.workbook.begin(&self.all[at])?;
        let name = self.exercise().name.clone();
        self.progress.change(|progress| progress.current = Some(name))?;
        self.show_brief()?;
        self.notice = format!("Your program: {}; every save is checked.", self.shown_program());
        Ok(())
    }

    /// The program was taken away: there is nothing to compile.
    fn begin_again(&mut self) -> Result<Act> {
        let at = self.at;
        self.open(at)?;
        self.notice = format!("{} was gone; the starter is in its place", self.shown_program());
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

    /// How often another page was shown: what was printed or scrolled belongs to one of them.
    pub fn shown(&self) -> u64 {
        self.shown
    }

    /// What is shown, in lines of at most `width` columns wherever they can be folded.
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

    /// Points at another exercise of the list, so many further down.
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

    /// A key was pressed.
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
            '?' => self.show(Page::Text(KEYS.to_string())),
            's' => return self.solution(),
            'r' => {
                self.question = Some(Question::Reset);
                self.notice = "Put the starter back? Your program is kept, and u takes that back."
                    .to_string();
            }
            'u' => return self.undo(),
            'n' => return self.go_on(),
            'p' if self.at > 0 => {
                self.open(self.at - 1)?;
                return Ok(Act::Follow);
            }
            'p' => self.notice = "This is the first one.".to_string(),
            _ => self.notice = "No such key; ? shows them all.".to_string(),
        }
        Ok(Act::Show)
    }

    fn answer(&mut self, question: Question, yes: bool) -> Result<Act> {
        if !yes {
            self.notice = "Nothing was changed.".to_string();
            return Ok(Act::Show);
        }
        match question {
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
                    Some(_) => "The starter is back; u takes that back.".to_string(),
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
                "An earlier program of yours is back; u brings back this one.".to_string()
            }
            Err(error) => format!("{error:#}"),
        };
        Ok(Act::Show)
    }

    fn go_on(&mut self) -> Result<Act> {
        if !self.is_behind() {
            self.notice =
                "The next one opens when this one is passed or given up (s); l opens any \
                           one."
                    .to_string();
            return Ok(Act::Show);
        }
        match self.next() {
            Some(next) => {
                self.open(next)?;
                Ok(Act::Follow)
            }
            None => {
                self.notice = "That was the last one.".to_string();
                Ok(Act::Show)
            }
        }
    }

    /// One hint more each time; all that were taken are shown.
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
            0 => "These are all hints.".to_string(),
            left => format!("h again for the next; {left} left"),
        };
        Ok(())
    }

    /// What crossed the rings of the learner's program when it was last checked.
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

    /// Open after passing, or after giving up.
    fn solution(&mut self) -> Result<Act> {
        let name = self.exercise().name.clone();
        if !self.progress.passed.contains(&name) && !self.progress.given_up.contains(&name) {
            self.question = Some(Question::GiveUp);
            self.notice =
                format!("{name} is not passed. Give it up and see the solution? It is recorded.");
            return Ok(Act::Show);
        }
        let text = std::fs::read_to_string(self.exercise().solution())?;
        self.show(Page::Solution(text));
        self.notice = "The solution. Carets stand under what was added.".to_string();
        Ok(Act::Show)
    }

    /// A check has come to its end.
    ///
    /// # Errors
    /// If the progress cannot be written; the verdict is shown all the same.
    pub fn judged(&mut self, verdict: Verdict, record: Option<Record>) -> Result<()> {
        let name = self.exercise().name.clone();
        if record.is_some() {
            self.last = record;
        }
        self.notice.clear();
        let kept = if verdict.passed() {
            self.progress.change(|progress| {
                progress.given_up.remove(&name);
                progress.not_observed.remove(&name);
                progress.passed.insert(name);
            })
        } else if verdict.word() == "not observed" && !self.progress.passed.contains(&name) {
            self.progress.change(|progress| progress.not_observed.insert(name)).map(|_| ())
        } else {
            Ok(())
        };
        let next = match &verdict {
            Verdict::Passed(_) if self.open_ones() > 0 => {
                "\n  s  the solution, to compare with yours\n  n  the next exercise\n"
            }
            Verdict::Passed(_) => {
                "\n  s  the solution, to compare with yours\n\n  \
                 That was the last one: all exercises are done.\n"
            }
            _ if verdict.word() == "not observed" => {
                "\n  n  the next exercise; this one stays open\n"
            }
            Verdict::Failed(_) => {
                self.notice = "t shows the whole trace, i the task again".to_string();
                ""
            }
            Verdict::NotCompiled(_) => "",
        };
        self.show(Page::Verdict(Box::new(verdict), next));
        kept
    }

    fn open_ones(&self) -> usize {
        self.all.iter().filter(|exercise| !self.progress.is_behind(&exercise.name)).count()
    }
}
