//! Entries that are asked, waited for, and compared with what they must be.

use anyhow::Result;
use io_uring::{IoUring, squeue};
use nix::errno::Errno;

use super::queues::UnderWay;
use super::{Page, means_unknown};
use crate::ask::{End, Started};
use crate::report::Kind;
use crate::shortage::Unexpected;
use crate::{Answer, Ask, Completion, LeftOut, Row};

impl Page {
    /// Submits one entry, waits for its completion, and notes what was asked and answered.
    ///
    /// # Errors
    /// If the kernel refuses it.
    ///
    /// # Safety
    /// What the entry points at must live, and must not be used elsewhere, until this returns. If
    /// the entry has a `user_data`, no other entry under way in this ring may have the same: the
    /// call would return with the other's completion.
    pub unsafe fn ask<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
    ) -> Result<Answer> {
        // SAFETY: the caller's promise.
        let answers = unsafe { self.ask_all(ring, [Ask::new(asked, entry)]) }?;
        Ok(answers[0])
    }

    /// As [`Page::ask`], for an entry that the kernel must refuse with this error. `why` is the
    /// reason, for readers who get the same error.
    ///
    /// # Errors
    /// If the kernel answers anything else.
    ///
    /// # Safety
    /// As [`Page::ask`].
    pub unsafe fn refused<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
        errno: Errno,
        why: &str,
    ) -> Result<()> {
        // SAFETY: the caller's promise.
        unsafe { self.ask_all(ring, [Ask::new(asked, entry).refused(errno, why)]) }.map(drop)
    }

    /// As [`Page::refused`], if kernels differ in the error: it must be one of these.
    ///
    /// # Errors
    /// If the kernel answers anything else.
    ///
    /// # Safety
    /// As [`Page::ask`].
    pub unsafe fn refused_by_one_of<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
        errnos: &[Errno],
        why: &str,
    ) -> Result<()> {
        let ask = Ask::new(asked, entry);
        let ask = errnos.iter().fold(ask, |ask, errno| ask.refused(*errno, why));
        // SAFETY: the caller's promise.
        unsafe { self.ask_all(ring, [ask]) }.map(drop)
    }

    /// As [`Page::ask`], for a part that is newer than the operation itself, such as a flag. If the
    /// kernel does not know `name`, leaves it out and returns `None`. For an entry that has one
    /// completion.
    ///
    /// A kernel answers an unknown flag with EINVAL, or with EOPNOTSUPP in `rw_flags`. That counts
    /// as unknown only if the kernel's release is older than the flag.
    ///
    /// # Errors
    /// If the kernel refuses the entry although it should know `name`.
    ///
    /// # Safety
    /// As [`Page::ask`].
    pub unsafe fn ask_since<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        name: &str,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
    ) -> Result<Option<Answer>> {
        // SAFETY: the caller's promise.
        let (started, answer) = unsafe { self.once(asked, ring, entry) };
        if answer.errno().is_some_and(|errno| means_unknown(errno, name)) {
            self.lacks(name)?;
            return Ok(None);
        }
        self.note_answer(&started, &answer, &End::success())?;
        Ok(Some(answer))
    }

    /// As [`Page::refused`], for a part that is newer than the operation itself: `false` if the
    /// kernel does not know `name`, as in [`Page::ask_since`].
    ///
    /// # Errors
    /// If the kernel answers anything else.
    ///
    /// # Safety
    /// As [`Page::ask`].
    pub unsafe fn refused_since<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        name: &str,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
        errno: Errno,
        why: &str,
    ) -> Result<bool> {
        // SAFETY: the caller's promise.
        let (started, answer) = unsafe { self.once(asked, ring, entry) };
        let other = answer.errno().filter(|other| *other != errno);
        if other.is_some_and(|other| means_unknown(other, name)) {
            self.lacks(name)?;
            return Ok(false);
        }
        self.note_answer(&started, &answer, &End::one_of(&[errno], why))?;
        Ok(true)
    }

    /// As [`Page::ask`], for a part that not every machine has, such as a file system with some
    /// feature. If the kernel answers with this error, leaves it out and returns `None`. For an
    /// entry that has one completion.
    ///
    /// # Errors
    /// If the kernel refuses the entry with another error.
    ///
    /// # Safety
    /// As [`Page::ask`].
    pub unsafe fn ask_unless<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        errno: Errno,
        left_out: LeftOut,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
    ) -> Result<Option<Answer>> {
        // SAFETY: the caller's promise.
        let (started, answer) = unsafe { self.once(asked, ring, entry) };
        if answer.errno() == Some(errno) {
            self.leave_out(left_out);
            return Ok(None);
        }
        self.note_answer(&started, &answer, &End::success())?;
        Ok(Some(answer))
    }

    /// Submits several entries at once, waits for the last completion of each, and returns all
    /// in the order in which they came.
    ///
    /// All must end by themselves. An entry with `IOSQE_CQE_SKIP_SUCCESS` that must succeed has no
    /// completion, and is not waited for: link another entry to it.
    ///
    /// # Errors
    /// If one does not end as its [`Ask`] says.
    ///
    /// # Panics
    /// If the entries do not fit into the queue together.
    ///
    /// # Safety
    /// As [`Page::ask`], for all of them.
    pub unsafe fn ask_all<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        asks: impl IntoIterator<Item = Ask<S>>,
    ) -> Result<Vec<Answer>> {
        // SAFETY: the caller's promise.
        let submitted = unsafe { self.submit(ring, asks) };
        let (silent, mut open): (Vec<_>, Vec<_>) = submitted.into_iter().partition(|it| it.silent);
        let mut answers = Vec::new();
        while !open.is_empty() {
            let is = |it: &UnderWay, answer: &Answer| it.started.user_data() == answer.user_data;
            let answer = self.wait_for(ring, |answer| open.iter().any(|it| is(it, answer)));
            let at = open.iter().position(|it| is(it, &answer)).expect("one of ours");
            answers.push((open[at].started.clone(), answer, open[at].end.clone()));
            if !answer.more() {
                open.remove(at);
            }
        }
        for UnderWay { started, end, .. } in silent {
            if let Some(failed) = self.take_kept(ring, &started) {
                answers.push((started, failed, end));
                continue;
            }
            let row = Row::new(Kind::Entry, &started.asked, "no completion, as it succeeded");
            self.report.rows.push(Row { entry: Some(started.entry), ..row });
        }
        // Return an error only now, when the kernel is done with all memory.
        for (at, (started, answer, end)) in answers.iter().enumerate() {
            // The last completion decides, unless it is the notification of a zero-copy send.
            let decides = !answer.is_notification()
                && !answers[at + 1..].iter().any(|(later, answer, _)| {
                    later.user_data() == started.user_data() && !answer.is_notification()
                });
            // A timer that repeats has its error each time.
            let end = if decides || answer.errno().is_some() { end } else { &End::success() };
            self.note_answer(started, answer, end)?;
        }
        Ok(answers.into_iter().map(|(_, answer, _)| answer).collect())
    }

    /// Notes a completion, and compares it with what it must be.
    pub(super) fn note_answer(
        &mut self,
        started: &Started,
        answer: &Answer,
        end: &End,
    ) -> Result<()> {
        let mut row = Row::of_answer(&started.asked, started.entry.clone(), answer);
        let judged = end.judge(answer);
        if let Ok(why) = judged {
            row.why = why.map(str::to_string);
        }
        self.report.rows.push(row);
        let wrong = |expected| {
            let (asked, answered) = (&started.asked, answer.in_words());
            let what = format!("{asked}: the kernel answered {answered}; expected was {expected}");
            Unexpected { errno: answer.errno(), what }.into()
        };
        judged.map(drop).map_err(wrong)
    }
}
