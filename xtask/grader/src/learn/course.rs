//! The learner's way through the exercises: the progress, and the present exercise.

use anyhow::Result;

use super::placement::{next_test, skip_before};
use crate::exercise::exercises::Exercise;
use crate::exercise::progress::Progress;
use crate::exercise::verdict::Verdict;

/// All exercises, and where the learner is among them.
pub(super) struct Course {
    pub(super) all: Vec<Exercise>,
    pub(super) progress: Progress,
    /// The present exercise.
    pub(super) at: usize,
    /// Whether it is part of a test.
    pub(super) testing: bool,
}

impl Course {
    pub(super) fn exercise(&self) -> &Exercise {
        &self.all[self.at]
    }

    pub(super) fn is_passed(&self) -> bool {
        self.progress.passed.contains(&self.exercise().name)
    }

    pub(super) fn is_behind(&self) -> bool {
        self.progress.is_behind(&self.exercise().name)
    }

    pub(super) fn next(&self) -> Option<usize> {
        let open = |at: &usize| !self.progress.is_behind(&self.all[*at].name);
        let after = self.at + 1..self.all.len();
        after.clone().find(open).or_else(|| (0..self.at).find(open)).or(after.into_iter().next())
    }

    /// How many exercises have this mark.
    pub(super) fn marked(&self, mark: char) -> usize {
        self.all.iter().filter(|exercise| self.progress.mark(&exercise.name) == mark).count()
    }

    pub(super) fn open_ones(&self) -> usize {
        self.all.iter().filter(|exercise| !self.progress.is_behind(&exercise.name)).count()
    }

    /// The learner's last exercise if it is open, and otherwise the first open one.
    pub(super) fn left_off(&self) -> usize {
        let current = self.progress.current.as_ref();
        let last = self.all.iter().position(|exercise| current == Some(&exercise.name));
        last.filter(|at| !self.progress.is_done(&self.all[*at].name))
            .or_else(|| self.all.iter().position(|it| !self.progress.is_behind(&it.name)))
            .or(last)
            .unwrap_or(0)
    }

    /// Notes that the learner is at this exercise now.
    pub(super) fn enter(&mut self, at: usize) -> Result<()> {
        self.at = at;
        let (name, testing) = (self.exercise().name.clone(), self.testing);
        self.progress.change(|progress| {
            (progress.current, progress.testing) = (Some(name), testing);
        })
    }

    /// Skips the exercises before this one, and no others.
    pub(super) fn skip_before(&mut self, at: usize) -> Result<()> {
        self.progress.change(|progress| skip_before(&self.all, at, progress))
    }

    /// The next exercise of the test. Skips the days before it.
    pub(super) fn next_test(&mut self) -> Result<Option<usize>> {
        let next = self.progress.change(|progress| next_test(&self.all, progress))?;
        self.testing = next.is_some();
        Ok(next)
    }

    /// A sentence on skipped exercises, if there are any.
    pub(super) fn skipped(&self) -> Option<String> {
        match self.marked('-') {
            0 => None,
            1 => Some("1 exercise is skipped: l still opens it.".to_string()),
            count => Some(format!("{count} exercises are skipped: l opens any of them.")),
        }
    }

    /// Notes a verdict on the present exercise.
    pub(super) fn judged(&mut self, verdict: &Verdict) -> Result<()> {
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
