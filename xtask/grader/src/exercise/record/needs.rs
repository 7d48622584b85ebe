//! Checks for every program: it has a ring, submits entries, and leaves nothing in a queue.

use super::moved::silent;
use super::{Record, user_data};
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use ringtrace::event::{Setup, What};

impl Record {
    /// Fails unless the program has a ring.
    ///
    /// # Errors
    /// `E-NO-RING`; `E-EXIT` if an error ended the program before; not observed, if the machine
    /// grants no ring or the tracer cannot follow it.
    pub fn need_ring(&self) -> Result<(), Failure> {
        if let Some(why) = self.events.iter().find_map(|event| match &event.what {
            What::Setup(Setup { not_followed: Some(why), .. }) => Some(why),
            _ => None,
        }) {
            return Err(Failure::not_observed(format!(
                "the tracer cannot look into the program's ring: {why}"
            )));
        }
        if self.setups().next().is_some() {
            return Ok(());
        }
        if self.refused_here() {
            return Err(no_rings());
        }
        if !self.summary.refused.is_empty() {
            return Err(self
                .fail(ids::NO_RING)
                .kernel(self.lines(|what| matches!(what, What::Setup(_))))
                .rule("The kernel refused the ring. Day 2 lists the rules a setup must keep."));
        }
        // An error ended the program. The caller explains a panic, and a signal may come from the
        // checker.
        if matches!(self.status, Some(1..=128)) && self.panicked().is_none() {
            return Err(self.ended_without_a_ring());
        }
        Err(self
            .fail(ids::NO_RING)
            .kernel(["the program never called io_uring_setup"])
            .rule("The program must use a ring. `IoUring::new` sets one up."))
    }

    /// The failure if this machine grants no ring to any program.
    pub(super) fn refused_here(&self) -> bool {
        let refused = &self.summary.refused;
        let blocked = ["EPERM", "EACCES", "ENOSYS", "SIGSYS"];
        self.setups().next().is_none() && blocked.iter().any(|name| refused.contains_key(*name))
    }

    /// Fails unless every pushed entry was submitted.
    ///
    /// # Errors
    /// `E-NOT-SUBMITTED`.
    pub fn need_all_submitted(&self) -> Result<(), Failure> {
        let close = |what: &What| matches!(what, What::Close(close) if close.never_submitted > 0);
        if self.summary.never_submitted == 0 {
            return Ok(());
        }
        let rule = if self.summary.polled {
            "The program ended before the polling thread had taken the entry. Look at the completion \
             queue again and again until the completion is there."
        } else {
            "A push only writes to memory that the program shares with the kernel. The kernel \
             reads it when `submit` (or `submit_and_wait`) calls io_uring_enter."
        };
        Err(self.fail(ids::NOT_SUBMITTED).kernel(self.lines(close)).rule(rule))
    }

    /// Fails unless the program took every posted completion.
    ///
    /// # Errors
    /// `E-NOT-REAPED`.
    pub fn need_all_reaped(&self) -> Result<(), Failure> {
        if self.summary.never_reaped == 0 {
            return Ok(());
        }
        let mut lines = self.last_lines(|what| matches!(what, What::Complete(_)));
        lines.truncate(2);
        lines.extend(
            self.lines(|what| matches!(what, What::Close(close) if close.never_reaped > 0)),
        );
        Err(self.fail(ids::NOT_REAPED).kernel(lines).rule(
            "The kernel posted a completion, and the program did not take it from the queue, \
             `ring.completion()`. The kernel sees that a completion was taken when this iterator \
             is dropped, or by `sync()`; `process::exit` drops nothing.",
        ))
    }

    /// Fails unless one completion was posted for each of these `user_data`, with result 0.
    /// Completions that the tracer was too late to read count as right.
    ///
    /// # Errors
    /// `E-FLAGS`, `E-FAILED-ENTRY` or `E-NOT-REAPED`.
    pub fn need_answered(&self, op: &str, tags: &[u64]) -> Result<(), Failure> {
        let skips = |what: &What| matches!(what, What::Submit(it) if it.op == op && silent(it));
        if self.submitted(op).into_iter().any(silent) {
            return Err(self.fail(ids::FLAGS).kernel(self.lines(skips)).rule(format!(
                "With CQE_SKIP_SUCCESS a {op} that succeeds posts no completion. Each entry needs \
                 one: leave the flag out."
            )));
        }
        let wanted = |tag: &u64| user_data(*tag);
        let answer = |tag: &u64| self.completes().find(|it| it.user_data == wanted(tag));
        if let Some(failed) = tags.iter().filter_map(answer).find(|answer| answer.res != 0) {
            let its = |what: &What| matches!(what, What::Complete(it) if it.seq == failed.seq);
            return Err(self.fail(ids::FAILED_ENTRY).kernel(self.lines(its)).rule(format!(
                "A {op} completed with {}; 0 means that it succeeded.",
                failed.words
            )));
        }
        let missing: Vec<&u64> = tags.iter().filter(|tag| answer(tag).is_none()).collect();
        if missing.len() as u64 <= self.summary.unseen_completions {
            return Ok(());
        }
        let mut kernel = self.last_lines(|what| matches!(what, What::Submit(_) | What::Enter(_)));
        kernel.push(format!(
            "completions posted: {} of {}",
            tags.len() - missing.len(),
            tags.len()
        ));
        Err(self.fail(ids::NOT_REAPED).kernel(kernel).rule(format!(
            "The program ended before the {op} with the tag {} had completed. Wait for its \
             completion.",
            missing[0]
        )))
    }

    /// Fails unless the kernel took at least `count` entries of this operation.
    ///
    /// # Errors
    /// `E-NO-RING`, `E-NOT-SUBMITTED` or `E-NO-ENTRY`.
    pub fn need_entries(&self, op: &str, count: usize) -> Result<(), Failure> {
        self.need_ring()?;
        let got = self.submitted(op).len();
        if got >= count {
            return Ok(());
        }
        self.need_all_submitted()?;
        let mut lines = self.lines(|what| matches!(what, What::Submit(_)));
        if lines.is_empty() {
            lines = vec!["the program set up a ring, but submitted no entry".to_string()];
        }
        Err(self.fail(ids::NO_ENTRY).kernel(lines).rule(format!(
            "{count} {op} {} asked for; the kernel took {got}.",
            if count == 1 { "entry was" } else { "entries were" }
        )))
    }
}

pub(super) fn no_rings() -> Failure {
    Failure::not_observed(
        "this machine grants no ring; `cargo run -p day01` says why, and what to type",
    )
}
