//! The two queues: entries go in, completions come out, and completions of other entries are kept.

use std::os::fd::{AsRawFd, RawFd};
use std::process;

use common::catalog::{ENTRY_FLAGS, OPERATIONS};
use io_uring::{IoUring, squeue};
use nix::errno::Errno;

use super::{Page, errno_of};
use crate::ask::{End, Started};
use crate::report::Asked;
use crate::{Answer, Ask, Completion, raw};

/// An entry that was submitted.
pub(super) struct UnderWay {
    pub(super) started: Started,
    /// How it must end.
    pub(super) end: End,
    /// Whether it has no completion if it ends so (`IOSQE_CQE_SKIP_SUCCESS`).
    pub(super) silent: bool,
}

impl Page {
    /// Submits one entry and waits for its completion, whatever it is.
    ///
    /// # Safety
    /// As [`Page::ask`].
    pub(super) unsafe fn once<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        asked: &str,
        ring: &mut IoUring<S, C>,
        entry: impl Into<S>,
    ) -> (Started, Answer) {
        // SAFETY: the caller's promise.
        let started = unsafe { self.submit(ring, [Ask::new(asked, entry)]) }.remove(0).started;
        let answer = self.wait_for(ring, |answer| answer.user_data == started.user_data());
        (started, answer)
    }

    /// Puts entries into the queue and submits them, without a wait.
    ///
    /// # Safety
    /// What the entries point at must live, and must not be used elsewhere, until their last
    /// completions.
    pub(super) unsafe fn submit<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        asks: impl IntoIterator<Item = Ask<S>>,
    ) -> Vec<UnderWay> {
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
            let started = Started { asked, entry: Asked { operation, user_data } };
            let silent = skips && end.may_succeed;
            all.push(UnderWay { started, end, silent });
        }
        self.enter(ring, 0);
        all
    }

    /// Waits for the first completion that `wanted` accepts, and keeps the others.
    pub(super) fn wait_for<S: squeue::EntryMarker, C: Completion>(
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

    /// A completion of this entry that has come and that no call has asked for yet.
    pub(super) fn take_kept<S: squeue::EntryMarker, C: Completion>(
        &mut self,
        ring: &mut IoUring<S, C>,
        started: &Started,
    ) -> Option<Answer> {
        self.reap(ring);
        let its = (ring.as_raw_fd(), started.user_data());
        let at = self.kept.iter().position(|(ring, answer)| (*ring, answer.user_data) == its)?;
        Some(self.kept.remove(at).1)
    }

    /// Takes what is in the completion queue.
    pub(super) fn reap<S: squeue::EntryMarker, C: Completion>(&mut self, ring: &mut IoUring<S, C>) {
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

    /// `io_uring_enter(2)`, for the entries that were pushed and for `wanted` completions.
    ///
    /// Entries may be under way: if the call fails for good, it is not known when the kernel is
    /// done with their memory, and the process ends here.
    pub(super) fn enter<S: squeue::EntryMarker, C: Completion>(
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
                self.remove_scratch();
                process::exit(1);
            }
        }
    }
}
