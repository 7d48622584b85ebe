//! The facts for the diagnosis, beside entries and completions.

use std::ops::Range;

use libc::pid_t;

use super::Watch;
use crate::diagnosis::Fact;
use crate::event::{Diagnosis, Enter, What};
use crate::refused::RefusedRing;
use crate::ring_descriptors::RingId;
use crate::syscalls::Call;
use crate::threads;

/// This many bytes below the stack pointer still belong to a function (the red zone of x86-64).
const RED_ZONE: u64 = 128;

impl Watch {
    /// Reports a fact to the doctor; `ring` is 0 for a fact about no ring.
    pub(super) fn diagnose(&mut self, tid: pid_t, ring: RingId, fact: &Fact<'_>) {
        let owner = self.rings.get(&ring).map_or(tid, |followed| followed.owner);
        self.doctor.fast = self.summary.fast;
        self.doctor.hidden = self.entered();
        self.doctor.see(self.now(), tid, (ring, owner), fact);
    }

    /// The rings that tasks are in.
    fn entered(&self) -> Vec<RingId> {
        self.inside.values().filter(|inside| !inside.over).filter_map(|it| it.ring).collect()
    }

    /// Puts what was found since the last time into the events and the totals.
    pub(super) fn tell_diagnoses(&mut self) {
        for diagnosis in self.doctor.news() {
            self.tell(0, What::Diagnosis(diagnosis));
        }
        self.summary.diagnoses = causes_first(self.doctor.all());
    }

    pub(super) fn diagnose_entering(&mut self, tid: pid_t, enter: &Enter, stack: u64) {
        let Some(followed) = enter.ring.and_then(|id| self.rings.get(&id)) else { return };
        let queues = followed.ring.queues();
        let own = self.stacks.entry(tid).or_insert_with(|| threads::main_stack(tid)).clone();
        let dead = own
            .filter(|own| own.contains(&stack))
            .map(|own| own.start..stack.saturating_sub(RED_ZONE));
        // The other rings were not looked at.
        let here = enter.ring.unwrap_or(0);
        let fact = Fact::Entering { enter, queues, dead: dead.as_ref() };
        self.diagnose(tid, here, &fact);
    }

    pub(super) fn diagnose_returned(&mut self, tid: pid_t, enter: &Enter, result: i64) {
        let Some(followed) = enter.ring.and_then(|id| self.rings.get(&id)) else { return };
        let queues = followed.ring.queues();
        self.diagnose(tid, enter.ring.unwrap_or(0), &Fact::Returned { enter, result, queues });
    }

    /// A thread of a process begins, with this stack, if that is known.
    pub fn thread_begins(&mut self, tid: pid_t, process: pid_t, stack: Option<Range<u64>>) {
        self.stacks.insert(tid, stack);
        self.doctor.processes.insert(tid, process);
    }

    /// A call begins that has nothing to do with rings.
    pub fn called(&mut self, tid: pid_t, process: pid_t, name: &str, call: &Call) {
        let (unreaped, ring) = self.fullest(process);
        self.called_at.insert(tid, self.now());
        let fact = Fact::Called { name, call, unreaped };
        self.doctor.hidden = self.entered();
        self.doctor.see(self.now(), tid, (ring, process), &fact);
    }

    /// The ring of a process with the most completions in it, and how many.
    fn fullest(&self, process: pid_t) -> (u32, RingId) {
        let its = self.rings.iter().filter(|(_, followed)| followed.owner == process);
        its.map(|(id, followed)| (followed.ring.unreaped(), *id)).max().unwrap_or((0, 0))
    }

    /// Such a call has ended.
    pub fn call_ended(&mut self, tid: pid_t, process: pid_t) {
        const LONG_US: u64 = 100_000;
        let now = self.now();
        let began = self.called_at.remove(&tid);
        if began.is_some_and(|began| now - began >= LONG_US) {
            let (unreaped, ring) = self.fullest(process);
            self.doctor.see(now, tid, (ring, process), &Fact::CallEnded { unreaped });
        }
    }

    /// A signal is delivered.
    pub fn signal(&mut self, tid: pid_t, signal: i32) {
        self.diagnose(tid, 0, &Fact::Signal(signal));
    }

    /// A ring was refused.
    pub fn refused(&mut self, tid: pid_t, ring: &RefusedRing) {
        self.diagnose(tid, 0, &Fact::Refused(ring));
    }

    /// The program has ended.
    pub fn ended(&mut self, status: i32) {
        self.diagnose(0, 0, &Fact::Ended(status));
        self.flush();
    }

    /// Nothing has moved for a while: finds out whether each process with a ring can continue.
    pub fn still(&mut self) {
        let mut processes: Vec<pid_t> = self.rings.values().map(|ring| ring.owner).collect();
        processes.sort_unstable();
        processes.dedup();
        let all = self.now_all();
        for process in processes {
            let threads = threads::threads(process as u32);
            let its = |ring: &RingId| self.rings.get(ring).map(|it| it.owner) == Some(process);
            let rings: Vec<_> = all.iter().filter(|now| its(&now.ring)).cloned().collect();
            for now in &rings {
                let Some(ring) = self.rings.get(&now.ring).map(|followed| &followed.ring) else {
                    continue;
                };
                let (queues, published) = (ring.queues(), &ring.published()[..]);
                let (rings, threads) = (&rings[..], &threads[..]);
                let fact = Fact::Still { rings, threads, queues, published };
                self.diagnose(0, now.ring, &fact);
            }
        }
        self.flush();
    }
}

/// A queue overflows because of another fault, which is named first.
fn causes_first(all: &[Diagnosis]) -> Vec<Diagnosis> {
    let mut all = all.to_vec();
    all.sort_by_key(|found| found.kind == "overflow");
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overflow_is_named_after_its_cause() {
        let found = |kind| Diagnosis {
            kind,
            ring: None,
            times: 1,
            seen: String::new(),
            means: String::new(),
            book: "",
            concluded: false,
            found_us: 0,
        };
        let all = ["overflow", "head-never-moved", "dead-wait"].map(found);
        let kinds: Vec<_> = causes_first(&all).iter().map(|found| found.kind).collect();
        assert_eq!(kinds, ["head-never-moved", "dead-wait", "overflow"]);
    }
}
