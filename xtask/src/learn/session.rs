//! Where a learner is, and what each key does: without a terminal, so that the screen, the
//! plain mode and tests all drive the same.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::book;
use super::progress::Progress;
use crate::exercise::exercises::Exercise;
use crate::exercise::markdown;
use crate::exercise::record::Record;
use crate::exercise::verdict::{Paint, Verdict};
use crate::exercise::workbook::Workbook;
use crate::trace::text;

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
enum Question {
    GiveUp,
    Reset,
}

/// A learner at work.
pub struct Session {
    workspace: PathBuf,
    workbook: Workbook,
    all: Vec<Exercise>,
    at: usize,
    progress: Progress,
    question: Option<Question>,
    last: Option<Record>,
    paint: Paint,
    /// What is shown.
    pub page: String,
    /// Whether that is the brief.
    pub brief: bool,
    /// One line of news.
    pub notice: String,
}

/// Trace lines that are shown at most.
const TRACED: usize = 2000;

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
        let progress = Progress::load(workbook.folder());
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
            page: String::new(),
            brief: true,
            notice: String::new(),
        };
        session.open(at)?;
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
        let new = self.workbook.begin(&self.all[at])?;
        self.progress.current = Some(self.exercise().name.clone());
        self.progress.save()?;
        self.show_brief()?;
        let verb = if new { "is ready" } else { "is as you left it" };
        self.notice = format!("{} {verb}; it is checked when you save it", self.shown_program());
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
        self.page = markdown::page(&self.exercise().brief()?, self.paint);
        self.brief = true;
        Ok(())
    }

    fn show(&mut self, page: String) {
        self.page = page;
        self.brief = false;
    }

    /// Where the learner is, in a line.
    pub fn header(&self) -> String {
        let exercise = self.exercise();
        let mark = match self.progress.mark(&exercise.name) {
            '+' => ", passed",
            'x' => ", given up",
            _ => "",
        };
        let (name, minutes) = (&exercise.name, exercise.about.minutes);
        format!("Day {}: {name} ({minutes} minutes{mark})", exercise.day)
    }

    fn count(&self, set: &BTreeSet<String>) -> usize {
        self.all.iter().filter(|exercise| set.contains(&exercise.name)).count()
    }

    /// How much is done, as a bar and in words.
    pub fn bar(&self) -> String {
        const WIDTH: usize = 24;
        let filled = self.count(&self.progress.passed) * WIDTH / self.all.len().max(1);
        format!("[{}{}] {}", "#".repeat(filled), "-".repeat(WIDTH - filled), self.done())
    }

    /// How much is done, in words.
    pub fn done(&self) -> String {
        let progress = &self.progress;
        let mut line = format!("{} of {} passed", self.count(&progress.passed), self.all.len());
        for (number, what) in [
            (self.count(&progress.given_up), "given up"),
            (self.count(&progress.not_observed), "not observed"),
        ] {
            if number > 0 {
                line.push_str(&format!(", {number} {what}"));
            }
        }
        line
    }

    /// The keys, in a line.
    pub fn keys(&self) -> String {
        match self.question {
            Some(Question::GiveUp) => "y give up and see the solution  any other key: not yet",
            Some(Question::Reset) => "y put the starter back  any other key: no",
            None if self.next().is_some() && self.is_behind() => {
                "n next  e edit  h hint  t trace  b book  l list  r reset  s solution  q quit"
            }
            None if !self.brief => {
                "i task  e edit  h hint  t trace  b book  l list  r reset  s solution  q quit"
            }
            None => "e edit  h hint  t trace  b book  l list  r reset  s solution  q quit",
        }
        .to_string()
    }

    fn is_behind(&self) -> bool {
        self.progress.is_behind(&self.exercise().name)
    }

    fn next(&self) -> Option<usize> {
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
        match key {
            'q' | 'Q' => return Ok(Act::Quit),
            'e' | 'c' | '\r' | '\n' if !self.program().exists() => return self.begin_again(),
            'e' => return Ok(Act::Edit(self.program())),
            'c' | '\r' | '\n' => return Ok(Act::Check),
            'i' => self.show_brief()?,
            'h' => self.hint()?,
            't' => self.trace(),
            'b' => self.book(),
            'l' => self.list(),
            's' => return self.solution(),
            'r' => {
                self.question = Some(Question::Reset);
                self.notice =
                    "Put the starter back? Your program is kept, and u takes it back.".to_string();
            }
            'u' => return self.undo(),
            'n' => return self.go_on(),
            'p' if self.at > 0 => {
                self.open(self.at - 1)?;
                return Ok(Act::Follow);
            }
            _ => self.notice = "Keys: the line below; c check, i the task, p previous".to_string(),
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
                self.progress.given_up.insert(self.exercise().name.clone());
                self.progress.save()?;
                self.solution()
            }
            Question::Reset => {
                let exercise = self.exercise().clone();
                self.workbook.reset(&exercise)?;
                self.show_brief()?;
                self.notice = "The starter is back; u takes that back.".to_string();
                Ok(Act::Follow)
            }
        }
    }

    fn undo(&mut self) -> Result<Act> {
        let exercise = self.exercise().clone();
        self.notice = match self.workbook.undo(&exercise) {
            Ok(()) => "Your program is back.".to_string(),
            Err(error) => format!("{error:#}"),
        };
        Ok(Act::Show)
    }

    fn go_on(&mut self) -> Result<Act> {
        if !self.is_behind() {
            self.notice = "The next one opens when this one is passed (or given up: s).".into();
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
        let taken = self.progress.hints.entry(name).or_default();
        *taken = (*taken + 1).min(hints.len());
        let taken = *taken;
        self.progress.save()?;
        let mut page = String::new();
        for (nth, hint) in hints.iter().take(taken).enumerate() {
            page.push_str(&format!("## Hint {} of {}\n\n{hint}\n\n", nth + 1, hints.len()));
        }
        self.show(markdown::page(&page, self.paint));
        self.notice = match hints.len() - taken {
            0 => "These are all hints.".to_string(),
            left => format!("h again for the next; {left} left"),
        };
        Ok(())
    }

    /// What crossed the rings of the learner's program when it was last checked.
    fn trace(&mut self) {
        let Some(record) = &self.last else {
            self.notice = "No run so far: save the program, or press c.".to_string();
            return;
        };
        let shown = &record.events[..record.events.len().min(TRACED)];
        let mut page = format!("{}\n\n", record.did);
        page.push_str("→ the program asks  ← the kernel answers  [user_data]\n\n");
        page.push_str(&text::lines(shown, &record.events, 78).join("\n"));
        if record.events.len() > TRACED {
            page.push_str(&format!("\n… and {} more", record.events.len() - TRACED));
        }
        page.push_str("\n\n");
        page.push_str(&crate::trace::summary_text::page(&record.summary, None));
        self.show(page);
    }

    fn book(&mut self) {
        let place = self.exercise().about.book.clone();
        let where_it_is = book::built(&self.workspace, &place)
            .unwrap_or_else(|| format!("{place} (`cargo xtask book serve` shows it)"));
        match book::section(&self.workspace, &place) {
            Some(section) => {
                self.show(markdown::page(&section, self.paint));
                self.notice = where_it_is;
            }
            None => self.notice = format!("The page is not here: {where_it_is}"),
        }
    }

    fn list(&mut self) {
        let mut page = String::from("+ passed   x given up   ? not observed   > you are here\n");
        let mut day = 0;
        for (nth, exercise) in self.all.iter().enumerate() {
            if exercise.day != day {
                day = exercise.day;
                page.push_str(&format!("\nDay {day}\n"));
            }
            let here = if nth == self.at { '>' } else { ' ' };
            let mark = self.progress.mark(&exercise.name);
            let (name, title) = (&exercise.name, &exercise.about.title);
            page.push_str(&format!(
                "{here} {mark} {name:<18}{title:<44}{:>3} min\n",
                exercise.about.minutes
            ));
        }
        page.push_str("\nTo begin at another one: `cargo xtask learn NAME`");
        self.show(page);
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
        self.show(text);
        self.notice = "The solution. Carets stand under what was added.".to_string();
        Ok(Act::Show)
    }

    /// A check has come to its end.
    ///
    /// # Errors
    /// If the progress cannot be written.
    pub fn judged(&mut self, verdict: &Verdict, record: Option<Record>) -> Result<()> {
        let name = self.exercise().name.clone();
        if record.is_some() {
            self.last = record;
        }
        let mut page = verdict.text(self.exercise(), self.paint);
        self.notice.clear();
        if verdict.passed() {
            self.progress.given_up.remove(&name);
            self.progress.not_observed.remove(&name);
            self.progress.passed.insert(name);
            self.progress.save()?;
            page.push_str("\n  s  the solution, to compare with yours\n");
            page.push_str(match self.next() {
                Some(_) if self.open_ones() > 0 => "  n  the next exercise\n",
                _ => "\n  That was the last one: all exercises are done.\n",
            });
        } else if verdict.word() == "not observed" && !self.progress.passed.contains(&name) {
            self.progress.not_observed.insert(name);
            self.progress.save()?;
            page.push_str("\n  n  the next exercise; this one stays open\n");
        } else if !matches!(verdict, Verdict::NotCompiled(_)) {
            self.notice = "t shows the whole trace, i the task again".to_string();
        }
        self.show(page);
        Ok(())
    }

    fn open_ones(&self) -> usize {
        self.all.iter().filter(|exercise| !self.progress.is_behind(&exercise.name)).count()
    }
}
