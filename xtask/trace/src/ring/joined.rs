//! A ring that was in use before the tracer joined.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, OwnedFd};

use super::{FdInfo, Ring};
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
        (ring.joined, ring.doubts) = (true, DOUBTS);
        ring
    }

    /// Asks the kernel again how large entries and completions are, if that was only concluded.
    pub(super) fn settle(&mut self) {
        let Some(fd) = self.fd.as_ref().filter(|_| self.doubts > 0) else { return };
        self.doubts -= 1;
        let info = FdInfo::of(fd);
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
    /// way, oldest first: those that no completion in the queue's memory answers.
    pub fn taken_before(&self) -> Vec<Entry> {
        let (head, tail) = self.before();
        let mut answers: HashMap<u64, Vec<u32>> = HashMap::new();
        let mut multishot = false;
        for back in 1..=tail.min(self.params.cq_entries) {
            let at = tail.wrapping_sub(back);
            let Some((completion, _)) = self.completion_at(at) else { continue };
            match completion.has(cqe::MORE) {
                true => multishot = true,
                false => answers.entry(completion.user_data).or_default().push(at),
            }
        }
        let published = self.sq_ends().map_or(head, |(_, tail)| tail);
        let places = 1..=head.min(self.params.sq_entries);
        let entries: Vec<(u32, Entry)> = places
            .map(|back| head.wrapping_sub(back))
            .take_while(|at| published.wrapping_sub(*at) <= self.params.sq_entries)
            .filter_map(|at| Some((at, self.entry_at(at, 1)?.entry?)))
            .collect();
        // As many as completions are missing; multishots bring more completions than entries.
        let in_flight = head.wrapping_sub(tail);
        let known = !multishot && in_flight <= self.params.sq_entries + self.params.cq_entries;
        // A program may use a `user_data` again and again: such completions may answer earlier
        // entries, from before this entry went in.
        let given: HashSet<u64> = entries.iter().map(|(_, entry)| entry.user_data).collect();
        let again = known && answers.keys().all(|user_data| given.contains(user_data));
        let earlier = |at: u32, answer: u32| again && at.wrapping_sub(answer) >= in_flight;
        let mut under_way = Vec::new();
        for (at, entry) in entries {
            if known && under_way.len() as u32 == in_flight {
                break;
            }
            let answers = answers.entry(entry.user_data).or_default();
            // The last one first.
            match answers.first() {
                Some(answer) if !earlier(at, *answer) => _ = answers.remove(0),
                _ => under_way.push(entry),
            }
        }
        under_way.reverse();
        under_way
    }
}
