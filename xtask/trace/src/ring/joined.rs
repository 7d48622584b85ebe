//! A ring that was in use before the tracer came.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use super::Ring;
use crate::attach;
use crate::codes::{cqe, setup};
use crate::decode::Entry;
use crate::memory::{Memory, Part};
use crate::params::Params;

impl Ring {
    /// Takes over a ring that is in use already: what has crossed it counts as seen.
    pub fn joined(params: Params, memory: Memory, fd: Option<OwnedFd>) -> Ring {
        const DOUBTS: u32 = 1000;
        let mut ring = Ring::new(params, memory, fd);
        ring.sq_seen = ring.memory.word(Part::Sq, params.sq().head).unwrap_or(0);
        ring.cq_seen = ring.memory.word(Part::Cq, params.cq().tail).unwrap_or(0);
        ring.doubts = DOUBTS;
        ring
    }

    /// Looks whether the kernel says by now how large entries and completions are, where that
    /// was concluded.
    pub(super) fn settle(&mut self) {
        let Some(fd) = self.fd.as_ref().filter(|_| self.doubts > 0) else { return };
        self.doubts -= 1;
        let info = attach::info_of(fd);
        let flag = |large: Option<bool>, flag: u32| match large {
            Some(true) => flag,
            Some(false) => 0,
            None => self.params.flags & flag,
        };
        let large =
            flag(info.large_entries, setup::SQE128) | flag(info.large_completions, setup::CQE32);
        if info.large_entries.is_some() && info.large_completions.is_some() {
            self.doubts = 0;
        }
        if large == self.params.flags & (setup::SQE128 | setup::CQE32) {
            return;
        }
        let (entries, completions) = (self.params.sq_entries, self.params.cq_entries);
        let array = self.params.flags & setup::NO_SQARRAY;
        let flags = self.params.flags & !(setup::SQE128 | setup::CQE32) | large;
        let right = Params::of_own_ring(entries, completions, flags & setup::CQE32 | array);
        let Ok(right) = right else { return };
        let right = right.with(flags).at(self.params.cq().user_addr, self.params.sq().user_addr);
        let memory = match &self.memory {
            Memory::Remote { owner, .. } => Ok(Memory::remote(*owner, &right)),
            Memory::Mapped { .. } => Memory::map_whole(fd.as_fd(), &right),
        };
        if let Ok(memory) = memory {
            (self.memory, self.params) = (memory, right);
        }
    }

    /// Whether it is not certain how large entries and completions are.
    pub fn is_in_doubt(&self) -> bool {
        self.doubts > 0
    }

    /// How many entries were taken and how many completions were posted before this ring was
    /// joined.
    pub fn before(&self) -> (u32, u32) {
        (self.sq_seen, self.cq_seen)
    }

    /// Entries from before this ring was joined that still lie in their places and may be under
    /// way, oldest first: those that no completion in the queue's memory answers. Where more
    /// are under way than that, a completion was of an earlier entry with the same `user_data`.
    pub fn taken_before(&self) -> Vec<Entry> {
        let (head, tail) = self.before();
        let mut answers: HashMap<u64, u32> = HashMap::new();
        for back in 1..=tail.min(self.params.cq_entries) {
            if let Some((completion, _)) = self.completion_at(tail.wrapping_sub(back)) {
                let last = !completion.has(cqe::MORE);
                *answers.entry(completion.user_data).or_default() += u32::from(last);
            }
        }
        let published = self.sq_ends().map_or(head, |(_, tail)| tail);
        let (mut under_way, mut answered) = (Vec::new(), Vec::new());
        for back in 1..=head.min(self.params.sq_entries) {
            let at = head.wrapping_sub(back);
            if published.wrapping_sub(at) > self.params.sq_entries {
                break;
            }
            let entry = self.entry_at(at, 1).and_then(|offered| offered.entry);
            let Some(entry) = entry else { continue };
            match answers.get_mut(&entry.user_data) {
                Some(count) if *count > 0 => {
                    *count -= 1;
                    answered.push((back, entry));
                }
                _ => under_way.push((back, entry)),
            }
        }
        let in_flight = usize::try_from(head.wrapping_sub(tail) as i32).unwrap_or(0);
        answered.truncate(in_flight.saturating_sub(under_way.len()));
        under_way.extend(answered);
        under_way.sort_by_key(|(back, _)| std::cmp::Reverse(*back));
        under_way.into_iter().map(|(_, entry)| entry).collect()
    }
}
