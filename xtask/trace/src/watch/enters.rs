//! Enters: where they begin, and how they return.

use common::catalog;
use libc::pid_t;

use super::{Moment, Watch, submit_and_complete};
use crate::codes::setup;
use crate::context::{Reader, Wait};
use crate::event::{self, What};
use crate::names::{error_name, names};
use crate::ring::{Offer, Taken};
use crate::ring_descriptors::RingId;

/// An enter that has not returned.
#[derive(Debug)]
pub(super) struct Inside {
    pub ring: Option<RingId>,
    pub event: event::Enter,
    pub since: Moment,
    pub told: bool,
    /// The task stands at the end of the call: it takes no more entries.
    pub over: bool,
    /// How often the task had run before, if the enter both submits and waits.
    pub runs: Option<u64>,
}

impl Watch {
    /// An enter begins, with the thread's stack pointer at `stack`.
    pub fn entering(&mut self, tid: pid_t, ring: Option<RingId>, args: &[u64; 6], stack: u64) {
        self.summary.enters += 1;
        if let Some(id) = ring {
            self.look(tid, id);
        }
        self.flush();
        let since = self.moment();
        let (quiet, tokens) = (self.nobody_listens(), self.tokens);
        let mut wait = Wait::default();
        let mut unreaped = None;
        if let Some(followed) = ring.and_then(|id| self.rings.get_mut(&id)) {
            let follow = submit_and_complete::follow(
                quiet,
                tokens,
                submit_and_complete::whose(tid, followed.owner),
            );
            followed.ring.offer(args[1] as u32, Offer { tid, us: since.us }, &follow);
            followed.registered.entering(Reader::of(tid));
            wait = Wait::of(Reader::of(tid), args, followed.registered.waits());
            unreaped = Some(followed.ring.unreaped());
            if let Some(workers) = self.workers.get_mut(&followed.owner) {
                workers.ran();
            }
        }
        let runs = if args[1] as u32 > 0 && args[2] > 0 { self.runs_of(tid) } else { None };
        // The look took time, which does not belong to the operations.
        let us = self.now();
        if let Some(followed) = ring.and_then(|id| self.rings.get_mut(&id)) {
            followed.ring.goes_on(Offer { tid, us });
        }
        let event = event::Enter {
            ring,
            enter: self.summary.enters,
            to_submit: args[1] as u32,
            min_complete: args[2] as u32,
            at_most_us: wait.at_most_us,
            min_wait_us: wait.min_wait_us,
            flags: names(&catalog::ENTER_FLAGS, args[3] as u32),
            fd: args[0] as i32,
            unreaped,
            answer: None,
        };
        self.diagnose_entering(tid, &event, stack);
        self.inside.insert(tid, Inside { ring, event, since, told: false, over: false, runs });
    }

    /// An enter returns.
    pub fn returned(&mut self, tid: pid_t, result: i64) {
        let now = self.moment();
        let Some(inside) = self.inside.get_mut(&tid) else { return };
        inside.over = true;
        let (ring, since) = (inside.ring, inside.since);
        let mut overflow = false;
        if let Some(id) = ring {
            let rewound = self.rewound(id, result);
            overflow = self.look_at(now, tid, id, rewound);
        }
        let Some(inside) = self.leave(tid) else { return };
        let error = (result < 0).then(|| error_name(-result as i32));
        if let Some(name) = &error {
            *self.summary.failed_enters.entry(name.clone()).or_default() += 1;
        }
        self.summary.overflows += u64::from(overflow);
        let enter = inside.event.enter;
        let inside_us = now.us - since.us;
        self.diagnose_returned(tid, &inside.event, result);
        let back = event::Return { ring, enter, result, error, inside_us, overflow };
        if !inside.told {
            let enter = event::Enter { answer: Some(back.clone()), ..inside.event };
            self.tell_at(since, tid, What::Enter(enter));
        }
        self.tell_at(now, tid, What::Return(back));
        self.flush();
    }

    /// What an enter took from a ring that each enter rewinds.
    fn rewound(&mut self, id: RingId, result: i64) -> Vec<Taken> {
        let taken = result.clamp(0, i64::from(u32::MAX)) as u32;
        match self.rings.get_mut(&id).map(|followed| &mut followed.ring) {
            Some(ring) if ring.params.has(setup::SQ_REWIND) => ring.rewound(taken),
            _ => Vec::new(),
        }
    }

    /// A task is gone, whatever call it was in.
    pub fn task_gone(&mut self, tid: pid_t) {
        self.stacks.remove(&tid);
        self.called_at.remove(&tid);
        self.schedstats.remove(&tid);
        self.making.remove(&tid);
        self.workers.remove(&tid);
        let Some(inside) = self.inside.get_mut(&tid) else { return };
        inside.over = true;
        if let Some(id) = inside.ring {
            self.look(tid, id);
        }
        if let Some(Inside { told: false, event, since, .. }) = self.leave(tid) {
            self.tell_at(since, tid, What::Enter(event));
        }
    }

    /// A task has left its enter, and the kernel takes nothing more of what it offered there.
    pub(super) fn leave(&mut self, tid: pid_t) -> Option<Inside> {
        let inside = self.inside.remove(&tid)?;
        if let Some(followed) = inside.ring.and_then(|id| self.rings.get_mut(&id)) {
            followed.ring.withdraw(tid);
        }
        Some(inside)
    }
}
