//! Moving to another exercise.

use anyhow::Result;

use super::{Act, Session};
use crate::learn::course::Course;
use crate::learn::placement::Start;

impl Session {
    pub(super) fn start(&mut self, start: Start) -> Result<()> {
        match start {
            Start::LeftOff if !self.course.progress.testing => self.open(self.course.left_off()),
            Start::LeftOff | Start::Test => self.test(),
            Start::At(at) => self.open(at),
            Start::From(at) => self.open_from(at, at),
            Start::FromDay(at) => self.start_day(at),
        }
    }

    pub(super) fn open(&mut self, at: usize) -> Result<()> {
        let left = std::mem::take(&mut self.course.testing);
        self.enter(at)?;
        if left {
            self.notice
                .push_str("\nYou left the test: `cargo xtask learn --test` goes on with it.");
        }
        Ok(())
    }

    fn enter(&mut self, at: usize) -> Result<()> {
        self.workbook.begin(&self.course.all[at])?;
        self.course.enter(at)?;
        self.last = None;
        self.show_brief()?;
        self.notice = format!("Your program: {}; every save is checked.", self.shown_program());
        Ok(())
    }

    /// Puts the starter back if the learner's program was removed.
    pub(super) fn begin_again(&mut self) -> Result<Act> {
        self.enter(self.course.at)?;
        self.notice = format!("{} was gone. The starter is in its place.", self.shown_program());
        Ok(Act::Follow)
    }

    pub(super) fn go_on(&mut self) -> Result<Act> {
        if self.course.testing {
            self.test()?;
            return Ok(Act::Follow);
        }
        if !self.course.is_behind() {
            self.notice =
                "The next one opens when this one is passed or given up (s); l opens any exercise."
                    .to_string();
            return Ok(Act::Show);
        }
        match self.course.next() {
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

    /// Skips the exercises before `from`, and opens `at`.
    fn open_from(&mut self, from: usize, at: usize) -> Result<()> {
        self.course.skip_before(from)?;
        self.course.testing = false;
        self.open(at)?;
        if let Some(words) = self.course.skipped() {
            self.notice = format!("{words}\n{}", self.notice);
        }
        Ok(())
    }

    /// Starts with the day that begins with this exercise.
    pub(super) fn start_day(&mut self, first: usize) -> Result<()> {
        let Course { all, progress, .. } = &self.course;
        let open = |at: &usize| !progress.is_done(&all[*at].name);
        let at = (first..all.len()).find(open).unwrap_or(first);
        self.open_from(first, at)
    }

    /// Continues the test, or goes to where the learner left off if every day is tested.
    fn test(&mut self) -> Result<()> {
        let Some(at) = self.course.next_test()? else {
            self.open(self.course.left_off())?;
            let skipped = self.course.skipped().unwrap_or_default();
            self.notice = format!("Every day is tested. {skipped}\n{}", self.notice);
            return Ok(());
        };
        self.enter(at)?;
        self.notice = format!(
            "Pass this one, and the rest of day {} is skipped. n ends the test and starts with this \
             day.\n{}",
            self.exercise().day,
            self.notice
        );
        Ok(())
    }
}
