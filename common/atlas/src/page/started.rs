//! Entries that are under way while the page does something else.

use std::os::fd::AsRawFd;

use anyhow::{Result, ensure};
use io_uring::{IoUring, squeue};
use nix::errno::Errno;

use super::{Page, means_unknown};
use crate::ask::{End, Started};
use crate::report::Kind;
use crate::{Answer, Ask, Completion, Row};

impl Page {
    /// Submits one entry and does not wait. [`Page::answer`] and [`Page::ended`] take its
    /// completions.
    ///
    /// # Safety
    /// What the entry points at must live, and must not be used elsewhere, until its last
    /// completion.
    pub unsafe fn start<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
    ) -> Started {
        // SAFETY: the caller's promise.
        unsafe { self.start_all(ring, [(asked, entry)]) }.remove(0)
    }

    /// As [`Page::start`], for several entries that are submitted together, such as a chain.
    ///
    /// # Safety
    /// As [`Page::start`], for all of them.
    pub unsafe fn start_all<'a, S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        entries: impl IntoIterator<Item = (&'a str, impl Into<S>)>,
    ) -> Vec<Started> {
        let asks = entries.into_iter().map(|(asked, entry)| Ask::new(asked, entry));
        // SAFETY: the caller's promise.
        let all = unsafe { self.submit(ring, asks) };
        let all: Vec<_> = all.into_iter().map(|it| it.started).collect();
        for started in &all {
            let row = Row::new(Kind::Entry, &started.asked, "submitted");
            self.report.rows.push(Row { entry: Some(started.entry.clone()), ..row });
        }
        all
    }

    /// Notes that an entry that was started has no completion so far.
    ///
    /// # Errors
    /// If it has one.
    pub fn waits<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        started: &Started,
        ring: &mut IoUring<S, C>,
    ) -> Result<()> {
        let asked = &started.asked;
        ensure!(!self.has_completed(started, ring), "{asked}: it should wait, and has completed");
        self.report.rows.push(Row::new(Kind::Note, asked, "no completion yet"));
        Ok(())
    }

    /// Whether an entry that was started has a completion; for places where kernels differ.
    pub fn has_completed<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        started: &Started,
        ring: &mut IoUring<S, C>,
    ) -> bool {
        self.enter(ring, 0);
        self.reap(ring);
        let its = (ring.as_raw_fd(), started.user_data());
        self.kept.iter().any(|(fd, answer)| (*fd, answer.user_data) == its)
    }

    /// Waits for the next completion of an entry that was started.
    ///
    /// # Errors
    /// If it is an error.
    pub fn answer<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        started: &Started,
        ring: &mut IoUring<S, C>,
    ) -> Result<Answer> {
        let answer = self.wait_for(ring, |answer| answer.user_data == started.user_data());
        self.note_answer(started, &answer, &End::success())?;
        Ok(answer)
    }

    /// As [`Page::answer`], for a part that is newer than the operation itself. If the kernel does
    /// not know `name` (as in [`Page::ask_since`]), leaves it out and returns `None`.
    ///
    /// # Errors
    /// If it is another error.
    pub fn answer_since<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        name: &str,
        started: &Started,
        ring: &mut IoUring<S, C>,
    ) -> Result<Option<Answer>> {
        let answer = self.wait_for(ring, |answer| answer.user_data == started.user_data());
        if answer.errno().is_some_and(|errno| means_unknown(errno, name)) {
            self.lacks(name)?;
            return Ok(None);
        }
        self.note_answer(started, &answer, &End::success())?;
        Ok(Some(answer))
    }

    /// As [`Page::answer`], for a completion that must be this error.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn ended<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        started: &Started,
        ring: &mut IoUring<S, C>,
        errno: Errno,
        why: &str,
    ) -> Result<Answer> {
        self.ended_by_one_of(started, ring, &[errno], why)
    }

    /// As [`Page::ended`], if kernels differ in the error: it must be one of these.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn ended_by_one_of<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        started: &Started,
        ring: &mut IoUring<S, C>,
        errnos: &[Errno],
        why: &str,
    ) -> Result<Answer> {
        let answer = self.wait_for(ring, |answer| answer.user_data == started.user_data());
        self.note_answer(started, &answer, &End::one_of(errnos, why))?;
        Ok(answer)
    }

    /// Waits for a completion with this `user_data` that no entry of this ring asked for:
    /// another ring, or a register call, posted it. `what` says so.
    pub fn arrives<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        what: &str,
        ring: &mut IoUring<S, C>,
        user_data: u64,
    ) -> Answer {
        let answer = self.wait_for(ring, |answer| answer.user_data == user_data);
        let row = Row::new(Kind::Note, what, answer.in_words());
        self.report.rows.push(Row { result: Some(answer.result), ..row });
        answer
    }
}
