//! A look at a ring: what has crossed it since the last one.

use std::time::{Duration, Instant};

use super::{Follow, Offered, Posted, Ring, Sight};
use crate::codes::{cqe, setup};
use crate::memory::Part;

impl Ring {
    /// Reads what the kernel took and posted since the last look.
    ///
    /// `inside` says that a task is in an enter of this ring. Then the kernel may be amid
    /// submitting: it moves the head only at the end, and completions may come before that.
    pub fn look(&mut self, inside: bool, follow: Follow<'_>) -> Sight {
        self.settle();
        let mut sight = Sight::default();
        // First the completions' end, then the entries, then the completions up to there: so
        // that no completion is read before the entry that it answers.
        let began = Instant::now();
        let posted = self.cq_tail();
        if self.polled() {
            self.offer_to_poller(follow);
        }
        self.take_entries(&mut sight);
        let amid = inside && !self.polled() && !self.offered.is_empty();
        if !amid {
            self.seen = began;
            if let Some(tail) = posted {
                self.take_completions(tail, &mut sight);
            }
        }
        if self.polled() {
            self.take_answered(&mut sight);
        }
        sight.overflow = self.overflowing();
        sight
    }

    /// Whether completions wait in the kernel for room (`IORING_SQ_CQ_OVERFLOW`).
    fn overflowing(&self) -> bool {
        const CQ_OVERFLOW: u32 = 1 << 1;
        let flags = self.memory.word(Part::Sq, self.params.sq().flags);
        flags.is_some_and(|flags| flags & CQ_OVERFLOW != 0)
    }

    fn take_entries(&mut self, sight: &mut Sight) {
        if self.params.has(setup::SQ_REWIND) {
            return;
        }
        let Some((head, tail)) = self.sq_ends() else { return };
        let entries = self.params.sq_entries;
        let behind = head.wrapping_sub(self.sq_seen);
        if behind as i32 <= 0 {
            return;
        }
        if behind > entries {
            // No enter takes more than the queue holds, and no thread more than there is time
            // for: the program garbled its ring. A thread that was joined asleep may run a while
            // before it is stopped.
            let unwatched = self.polled() || self.joined;
            if !unwatched || behind - entries > self.most() {
                return;
            }
            sight.unseen_entries += u64::from(behind - entries);
            let seen = head.wrapping_sub(entries);
            self.offered.retain(|at, _| at.wrapping_sub(seen) as i32 >= 0);
            self.sq_seen = seen;
        }
        while self.sq_seen != head {
            let at = self.sq_seen;
            let left = head.wrapping_sub(at);
            let offered = match self.offered.remove(&at) {
                Some(offered) => Some(offered),
                // Its place is still its own as long as the tail has not come round to it.
                None if tail.wrapping_sub(at) <= entries => self.entry_at(at, left),
                None => None,
            };
            self.sq_seen = at.wrapping_add(offered.as_ref().map_or(1, |it| it.places.min(left)));
            match offered.map(Offered::taken) {
                Some(Some(taken)) => sight.submitted.push(taken),
                Some(None) => sight.dropped += 1,
                None => sight.unseen_entries += 1,
            }
        }
        // What the kernel took can be forgotten; so can what a garbled head skipped over.
        if self.offered.len() > 2 * entries as usize {
            self.offered.clear();
        }
    }

    /// A polling thread moves the head after it has posted the first completions. An entry that was
    /// answered was taken, wherever the head is.
    fn take_answered(&mut self, sight: &mut Sight) {
        for Posted { completion, .. } in &sight.completed {
            let answered = |offered: &Offered| {
                offered.entry.is_some_and(|entry| entry.user_data == completion.user_data)
            };
            if !self.offered.values().any(answered) {
                continue;
            }
            while let Some(offered) = self.offered.remove(&self.sq_seen) {
                let found = answered(&offered);
                self.sq_seen = self.sq_seen.wrapping_add(offered.places);
                match offered.taken() {
                    Some(taken) => sight.submitted.push(taken),
                    None => sight.dropped += 1,
                }
                if found {
                    break;
                }
            }
        }
    }

    fn take_completions(&mut self, tail: u32, sight: &mut Sight) {
        let entries = self.params.cq_entries;
        let behind = tail.wrapping_sub(self.cq_seen);
        if behind > entries {
            sight.unseen_completions += u64::from(behind - entries);
            self.cq_seen = tail.wrapping_sub(entries);
        }
        let mut read = Vec::new();
        while self.cq_seen != tail {
            let at = self.cq_seen;
            let Some((completion, places)) = self.completion_at(at) else { return };
            self.cq_seen = at.wrapping_add(places.min(tail.wrapping_sub(at)));
            read.push((at, completion));
        }
        // Whatever the kernel overwrote while it was being read does not count as read.
        let now = self.memory.word(Part::Cq, self.params.cq().tail).unwrap_or(tail);
        // Only a ring of mixed completions has gaps; in other rings a message may carry the flag.
        let may_have_gaps = self.params.has(setup::CQE_MIXED);
        for (at, completion) in read {
            if now.wrapping_sub(at) > entries {
                sight.unseen_completions += 1;
            } else if !(may_have_gaps && completion.has(cqe::SKIP)) {
                sight.completed.push(Posted { completion, at });
            }
        }
    }

    /// The most entries or completions since the last look: no ring is faster than this.
    pub(super) fn most(&self) -> u32 {
        const EACH: Duration = Duration::from_nanos(10);
        let most = self.seen.elapsed().as_nanos() / EACH.as_nanos();
        u32::try_from(most).unwrap_or(u32::MAX)
    }
}
