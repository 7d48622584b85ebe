//! The page that an entry fills: it asks the kernel, and keeps what was asked and answered.

use std::fmt::Display;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::process;

use anyhow::{Result, anyhow, bail, ensure};
use common::catalog::{self, ENTRY_FLAGS, Kernel, OPERATIONS};
use common::environment::kernel_release;
use io_uring::{IoUring, squeue};
use nix::errno::Errno;

use crate::report::{Asked, Kind};
use crate::{Answer, Completion, Entry, Family, LeftOut, Report, Row, Scratch, raw};

/// What an entry has asked so far, and what the kernel answered.
///
/// An entry whose `user_data` is 0 gets a number of its own. A completion that comes while
/// another one is waited for is kept for the call that asks for it.
#[derive(Debug)]
pub struct Page {
    report: Report,
    scratch: Option<Scratch>,
    /// Completions that nobody has asked for yet, by the descriptor of their ring.
    kept: Vec<(RawFd, Answer)>,
    /// The `user_data` given out last.
    last_number: u64,
}

/// An entry for the ring, in words, and what it must end with.
#[derive(Debug)]
pub struct Ask<S> {
    asked: String,
    entry: S,
    second_half: Option<S>,
    end: End,
}

impl<S> Ask<S> {
    /// An entry that must succeed.
    pub fn new(asked: &str, entry: impl Into<S>) -> Ask<S> {
        let (asked, entry) = (asked.to_string(), entry.into());
        Ask { asked, entry, second_half: None, end: End::success() }
    }

    /// The kernel must refuse it, or break it off, with this error. `why` is the reason, for
    /// those who get the same error. Said twice, it must be one of the two.
    pub fn refused(mut self, errno: Errno, why: &str) -> Ask<S> {
        self.end.may_succeed = false;
        self.or_refused(errno, why)
    }

    /// As [`Ask::refused`], where some kernels let it succeed.
    pub fn or_refused(mut self, errno: Errno, why: &str) -> Ask<S> {
        self.end.errors.push((errno, why.to_string()));
        self
    }
}

impl Ask<squeue::Entry> {
    /// An entry of 128 bytes for a ring with `IORING_SETUP_SQE_MIXED`, which must succeed. It
    /// takes two places of the queue, and the kernel refuses it where the second one is the
    /// queue's first.
    pub fn new_128(asked: &str, entry: squeue::Entry128) -> Ask<squeue::Entry> {
        let [first, second] = raw::halves(entry);
        Ask { second_half: Some(second), ..Ask::new(asked, first) }
    }
}

/// How an entry must end.
#[derive(Clone, Debug)]
struct End {
    may_succeed: bool,
    errors: Vec<(Errno, String)>,
}

impl End {
    fn success() -> End {
        End { may_succeed: true, errors: Vec::new() }
    }

    fn one_of(errnos: &[Errno], why: &str) -> End {
        let errors = errnos.iter().map(|errno| (*errno, why.to_string())).collect();
        End { may_succeed: false, errors }
    }

    /// The reason why it may end so, if that is an error; otherwise what was expected.
    fn judge(&self, answer: &Answer) -> Result<Option<&str>, String> {
        let Some(errno) = answer.errno() else {
            return if self.may_succeed { Ok(None) } else { Err(self.expected()) };
        };
        let known = self.errors.iter().find(|(it, _)| *it == errno);
        known.map(|(_, why)| Some(why.as_str())).ok_or_else(|| self.expected())
    }

    fn expected(&self) -> String {
        let success = self.may_succeed.then(|| "success".to_string());
        let errors = self.errors.iter().map(|(errno, why)| format!("{errno:?} ({why})"));
        success.into_iter().chain(errors).collect::<Vec<_>>().join(" or ")
    }
}

/// An entry that was submitted and whose completions are still to come.
#[derive(Clone, Debug)]
pub struct Started {
    asked: String,
    entry: Asked,
}

impl Started {
    /// The entry's `user_data`, by which others cancel, change or find it.
    pub fn user_data(&self) -> u64 {
        self.entry.user_data
    }
}

impl Page {
    pub(crate) fn new(family: &Family, entry: &Entry) -> Page {
        Page { report: Report::new(family, entry), scratch: None, kept: Vec::new(), last_number: 0 }
    }

    /// Submits one entry, waits for its completion, and notes what was asked and answered.
    ///
    /// # Errors
    /// If the kernel refuses it.
    ///
    /// # Safety
    /// What the entry points at must live, and be nobody else's, until this returns.
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
    /// reason, for those who get the same error.
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

    /// As [`Page::refused`], where kernels differ in the error: it must be one of these.
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

    /// As [`Page::ask`], for what is newer than the operation itself, such as a flag. Where the
    /// kernel does not know `name`, leaves it out and returns `None`.
    ///
    /// A kernel answers a flag that it does not know with EINVAL, in `rw_flags` with EOPNOTSUPP.
    /// This counts as not knowing it only if the kernel's release is older than the flag.
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

    /// As [`Page::refused`], for what is newer than the operation itself: `false` where the kernel
    /// does not know `name`, as [`Page::ask_since`].
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

    /// As [`Page::ask`], for what not every machine has, such as a file system that can do it.
    /// Where the kernel answers with this error, leaves it out and returns `None`.
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
    /// An entry with `IOSQE_CQE_SKIP_SUCCESS` that must succeed has no completion; the others
    /// must be such that they end by themselves.
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
        let mut open = unsafe { self.submit(ring, asks) };
        let mut answers = Vec::new();
        let mut silent = Vec::new();
        open.retain(|(started, end, skips)| {
            let silently = *skips && end.may_succeed;
            if silently {
                silent.push(started.clone());
            }
            !silently
        });
        while !open.is_empty() {
            let answer = self.wait_for(ring, |answer| {
                open.iter().any(|(started, ..)| started.user_data() == answer.user_data)
            });
            let of = |(started, ..): &(Started, End, bool)| started.user_data() == answer.user_data;
            let at = open.iter().position(of).expect("one of ours");
            let (started, end, _) = open[at].clone();
            if !answer.more() {
                open.remove(at);
            }
            answers.push((started, answer, end));
        }
        for started in silent {
            let row = Row::new(Kind::Entry, &started.asked, "no completion, as it succeeded");
            self.report.rows.push(Row { entry: Some(started.entry), ..row });
        }
        // Only now, when the kernel is done with all memory, may this return an error.
        for (at, (started, answer, end)) in answers.iter().enumerate() {
            // The last completion decides, but for the notification of a zero-copy send.
            let decides = !answer.is_notification()
                && !answers[at + 1..].iter().any(|(later, answer, _)| {
                    later.user_data() == started.user_data() && !answer.is_notification()
                });
            // A timer that goes on has its error each time.
            let end = if decides || answer.errno().is_some() { end } else { &End::success() };
            self.note_answer(started, answer, end)?;
        }
        Ok(answers.into_iter().map(|(_, answer, _)| answer).collect())
    }

    /// Submits one entry and does not wait. [`Page::answer`] and [`Page::ended`] take its
    /// completions.
    ///
    /// # Safety
    /// What the entry points at must live, and be nobody else's, until its last completion.
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
        let all = all.into_iter().map(|(started, ..)| started).collect::<Vec<_>>();
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

    /// Whether there is a completion of an entry that was started, for where kernels differ.
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

    /// As [`Page::answer`], for what is newer than the operation itself. Where the kernel does
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

    /// As [`Page::ended`], where kernels differ in the error: it must be one of these.
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

    /// Notes a plain system call or register call that must succeed.
    ///
    /// # Errors
    /// If it did not.
    pub fn call<T>(&mut self, asked: &str, result: Result<T, impl Into<io::Error>>) -> Result<T> {
        match result.map_err(Into::into) {
            Ok(value) => {
                self.report.rows.push(Row::new(Kind::Call, asked, "done"));
                Ok(value)
            }
            Err(error) => {
                let errno = errno_of(&error);
                self.call_row(asked, errno, None);
                bail!("{asked}: the kernel answered {errno:?} ({})", errno.desc())
            }
        }
    }

    /// As [`Page::call`], for what a newer kernel brought. Where this one does not know `name`
    /// (EINVAL, and its release is older), leaves it out and returns `None`.
    ///
    /// # Errors
    /// If the call failed otherwise.
    pub fn call_since<T>(
        &mut self,
        name: &str,
        asked: &str,
        result: Result<T, impl Into<io::Error>>,
    ) -> Result<Option<T>> {
        match result.map_err(Into::into) {
            Err(error) if means_unknown(errno_of(&error), name) => {
                self.lacks(name)?;
                Ok(None)
            }
            result => self.call(asked, result).map(Some),
        }
    }

    /// As [`Page::call`], for a call that must fail with this error, for this reason.
    ///
    /// # Errors
    /// If it did not.
    pub fn call_refused<T>(
        &mut self,
        asked: &str,
        result: Result<T, impl Into<io::Error>>,
        errno: Errno,
        why: &str,
    ) -> Result<()> {
        self.call_refused_by_one_of(asked, result, &[errno], why)
    }

    /// As [`Page::call_refused`], where kernels differ in the error: it must be one of these.
    ///
    /// # Errors
    /// If the call did not fail with one of them.
    pub fn call_refused_by_one_of<T>(
        &mut self,
        asked: &str,
        result: Result<T, impl Into<io::Error>>,
        errnos: &[Errno],
        why: &str,
    ) -> Result<()> {
        let Err(error) = result.map_err(Into::into) else {
            bail!("{asked}: the call succeeded; expected was one of {errnos:?} ({why})")
        };
        let got = errno_of(&error);
        let is_expected = errnos.contains(&got);
        self.call_row(asked, got, is_expected.then_some(why));
        ensure!(
            is_expected,
            "{asked}: the kernel answered {got:?}; expected was one of {errnos:?} ({why})"
        );
        Ok(())
    }

    /// Notes what was seen by other means: the file's bytes, `/proc`, the peer.
    ///
    /// # Errors
    /// If it is not so.
    pub fn saw(&mut self, what: &str, is_so: bool) -> Result<()> {
        ensure!(is_so, "it is not so: {what}");
        self.report.rows.push(Row::new(Kind::Saw, what, "yes"));
        Ok(())
    }

    /// Notes a value that is worth knowing.
    pub fn note(&mut self, what: &str, value: impl Display) {
        self.report.rows.push(Row::new(Kind::Note, what, value));
    }

    /// A folder for the entry's files. It is removed at the end.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn scratch(&mut self) -> Result<Scratch> {
        if self.scratch.is_none() {
            self.scratch = Some(Scratch::make(&self.report.name)?);
        }
        Ok(self.scratch.clone().expect("just made"))
    }

    /// Whether nothing has been left out so far: for mistakes that need what was shown.
    pub fn showed_all(&self) -> bool {
        self.report.left_out.is_empty()
    }

    pub(crate) fn leave_out(&mut self, left_out: LeftOut) {
        self.report.left_out.push(left_out);
    }

    pub(crate) fn finish(mut self, shown: Result<()>) -> Report {
        match shown.map_err(|error| error.downcast::<LeftOut>()) {
            Ok(()) => {}
            Err(Ok(left_out)) => self.leave_out(left_out),
            Err(Err(error)) => self.report.failed = Some(format!("{error:#}")),
        }
        std::mem::take(&mut self.report)
    }

    /// Submits one entry and waits for its completion, whatever it is.
    ///
    /// # Safety
    /// As [`Page::ask`].
    unsafe fn once<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
    ) -> (Started, Answer) {
        // SAFETY: the caller's promise.
        let (started, ..) = unsafe { self.submit(ring, [Ask::new(asked, entry)]) }.remove(0);
        let answer = self.wait_for(ring, |answer| answer.user_data == started.user_data());
        (started, answer)
    }

    /// Puts entries into the queue and submits them, without a wait. Tells of each whether it
    /// is to have no completion if it succeeds.
    ///
    /// # Safety
    /// What the entries point at must live, and be nobody else's, until their last completions.
    unsafe fn submit<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        asks: impl IntoIterator<Item = Ask<S>>,
    ) -> Vec<(Started, End, bool)> {
        let fd = ring.as_raw_fd();
        let mut all = Vec::new();
        for Ask { asked, mut entry, second_half, end } in asks {
            if entry.get_user_data() == 0 {
                self.last_number += 1;
                entry.set_user_data(self.last_number);
            }
            let user_data = entry.get_user_data();
            // A ring that is gone may have had the same descriptor.
            self.kept.retain(|(ring, answer)| (*ring, answer.user_data) != (fd, user_data));
            let [opcode, flags] = raw::opcode_and_flags(&entry);
            let operation = OPERATIONS.name(opcode.into()).to_string();
            let skips = u32::from(flags) & const { ENTRY_FLAGS.code("CQE_SKIP_SUCCESS") } != 0;
            for part in [Some(&entry), second_half.as_ref()].into_iter().flatten() {
                // SAFETY: the caller's promise.
                let pushed = unsafe { ring.submission().push(part) };
                pushed.expect("the queue has room for what is submitted together");
            }
            let entry = Asked { operation, user_data };
            all.push((Started { asked, entry }, end, skips));
        }
        self.enter(ring, 0);
        all
    }

    /// Waits for the first completion that `wanted` accepts, and keeps the others.
    fn wait_for<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        wanted: impl Fn(&Answer) -> bool,
    ) -> Answer {
        let fd = ring.as_raw_fd();
        loop {
            self.reap(ring);
            let is_it = |(ring, answer): &(RawFd, Answer)| *ring == fd && wanted(answer);
            if let Some(at) = self.kept.iter().position(is_it) {
                return self.kept.remove(at).1;
            }
            self.enter(ring, 1);
        }
    }

    /// Takes what is in the completion queue.
    fn reap<S: squeue::EntryMarker, C: Completion>(&mut self, ring: &mut IoUring<S, C>) {
        let fd = ring.as_raw_fd();
        let mut completions = ring.completion();
        while let Some(completion) = completions.next() {
            let mut answer = completion.answer();
            if answer.is_padding() {
                continue;
            }
            // With CQE_MIXED, the second half of a large completion takes the next place.
            if size_of::<C>() == 16 && answer.has_32_bytes() {
                let second = completions.next().expect("both halves arrive together").answer();
                let low = u64::from(second.result as u32);
                answer.extra = [second.user_data, low | u64::from(second.flags) << 32];
            }
            self.kept.push((fd, answer));
        }
    }

    /// `io_uring_enter(2)`, for those that were pushed and for `wanted` completions.
    ///
    /// Entries may be under way: if the call fails for good, nobody knows when the kernel is
    /// done with their memory, and the process ends here.
    fn enter<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        wanted: usize,
    ) {
        match ring.submit_and_wait(wanted).map_err(|error| errno_of(&error)) {
            // A signal ended the wait; or the completion queue is full, and is read next.
            Ok(_) | Err(Errno::EINTR | Errno::EBUSY) => {}
            Err(errno) => {
                let entry = &self.report.name;
                eprintln!("atlas: {entry}: io_uring_enter failed: {errno:?} ({})", errno.desc());
                process::exit(1);
            }
        }
    }

    /// Notes a completion, and compares it with what it must be.
    fn note_answer(&mut self, started: &Started, answer: &Answer, end: &End) -> Result<()> {
        let mut row = Row::of_answer(&started.asked, started.entry.clone(), answer);
        let judged = end.judge(answer);
        if let Ok(why) = judged {
            row.why = why.map(str::to_string);
        }
        self.report.rows.push(row);
        let wrong = |expected| {
            let (asked, answered) = (&started.asked, answer.in_words());
            anyhow!("{asked}: the kernel answered {answered}; expected was {expected}")
        };
        judged.map(drop).map_err(wrong)
    }

    fn call_row(&mut self, asked: &str, errno: Errno, why: Option<&str>) {
        let row = Row::new(Kind::Call, asked, format!("{errno:?}"));
        let errno = Some(format!("{errno:?}"));
        self.report.rows.push(Row { errno, why: why.map(str::to_string), ..row });
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if let Some(scratch) = &self.scratch {
            scratch.remove();
        }
    }
}

fn errno_of(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}

/// Whether the kernel says by this error that it does not know a name of the catalogue, which
/// came with a later release.
fn means_unknown(errno: Errno, name: &str) -> bool {
    let fact = catalog::find(name).unwrap_or_else(|| panic!("the catalogue has no {name}"));
    let is_newer = Kernel::parse(&kernel_release()).is_some_and(|here| here < fact.since);
    is_newer && [Errno::EINVAL, Errno::EOPNOTSUPP].contains(&errno)
}
