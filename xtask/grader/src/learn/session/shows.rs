//! Showing a page.

use anyhow::Result;

use super::{Act, Page, Question, Session};
use crate::exercise::book;

impl Session {
    pub(super) fn show_brief(&mut self) -> Result<()> {
        let brief = self.exercise().brief()?;
        self.show(Page::Brief(brief));
        Ok(())
    }

    pub(super) fn show(&mut self, page: Page) {
        self.page = page;
        self.shown += 1;
    }

    /// Moves the selection of the list down by this many.
    pub fn point(&mut self, by: i32) {
        let last = self.course.all.len().saturating_sub(1);
        if let Page::List(choice) = &mut self.page {
            choice.at = choice.at.saturating_add_signed(by as isize).min(last);
            choice.typed.clear();
            self.shown += 1;
        }
    }

    /// Takes one more hint each time, and shows all that were taken.
    pub(super) fn hint(&mut self) -> Result<()> {
        let hints = self.exercise().hints()?;
        let name = self.exercise().name.clone();
        let taken = self.course.progress.change(|progress| {
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
    pub(super) fn trace(&mut self) {
        match &self.last {
            Some(record) => self.show(Page::Trace(Box::new(record.clone()))),
            None => self.notice = "No run so far: save the program, or press c.".to_string(),
        }
    }

    pub(super) fn book(&mut self) {
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

    /// Shows the solution after passing or giving up.
    pub(super) fn solution(&mut self) -> Result<Act> {
        let name = self.exercise().name.clone();
        if !self.course.is_passed() && !self.course.progress.given_up.contains(&name) {
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
}
