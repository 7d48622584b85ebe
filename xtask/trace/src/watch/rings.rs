//! Rings: they are made, changed and closed; and how they are now.

use std::collections::VecDeque;

use libc::pid_t;

use super::{Followed, Watch};
use crate::context::Reader;
use crate::diagnosis::Fact;
use crate::event::{self, What};
use crate::pairing::InFlight;
use crate::params::Params;
use crate::registered::Registered;
use crate::ring::{Ring, RingNow};
use crate::ring_descriptors::RingId;

impl Watch {
    /// A task begins to make a ring.
    pub fn making(&mut self, tid: pid_t) {
        self.making.insert(tid);
    }

    /// A task is no longer making a ring.
    pub fn not_making(&mut self, tid: pid_t) {
        self.making.remove(&tid);
    }

    /// A ring was granted and taken over; returns its number.
    pub fn follow(&mut self, owner: pid_t, ring: Ring) -> RingId {
        self.last_ring += 1;
        self.summary.polled |= ring.polled();
        let followed = Followed {
            ring,
            owner,
            in_flight: InFlight::default(),
            registered: Registered::default(),
            address: None,
            unreaped: VecDeque::new(),
            poller: None,
        };
        let params = followed.ring.params;
        self.rings.insert(self.last_ring, followed);
        self.diagnose(0, self.last_ring, &Fact::Granted(&params));
        self.last_ring
    }

    /// A task has just made this ring, as this descriptor.
    pub fn made(&mut self, id: RingId, tid: pid_t, fd: i32) {
        if let (Some(tracepoints), Some(followed)) =
            (&mut self.tracepoints, self.rings.get_mut(&id))
        {
            followed.address = tracepoints.follow(tid, fd);
        }
    }

    /// Whether a ring is followed and may be resized; its parameters.
    pub fn params(&self, ring: RingId) -> Option<Params> {
        self.rings.get(&ring).map(|followed| followed.ring.params)
    }

    /// A ring has new memory.
    pub fn resized(&mut self, ring: RingId, params: Params) -> nix::Result<()> {
        match self.rings.get_mut(&ring) {
            Some(followed) => followed.ring.resized(params),
            None => Ok(()),
        }
    }

    /// A register call returned. `operation` is its code, `argument` its argument.
    pub fn registered(&mut self, tid: pid_t, told: event::Register, operation: u32, argument: u64) {
        let followed = told.ring.and_then(|id| self.rings.get_mut(&id));
        if let Some(followed) = followed.filter(|_| told.result >= 0) {
            followed.registered.call(Reader::of(tid), operation, argument, told.count);
        }
        *self.summary.registers.entry(told.op.clone()).or_default() += 1;
        let (ring, count, result) = (told.ring, told.count, told.result);
        self.tell(tid, What::Register(told));
        let fact = Fact::Registered { operation, argument, count, result };
        self.diagnose(tid, ring.unwrap_or(0), &fact);
        if let Some(ring) = ring {
            self.look(tid, ring);
        }
        self.flush();
    }

    /// The program is about to lose its last handle on a ring: one last look, then let go.
    pub fn close(&mut self, tid: pid_t, id: RingId) {
        let overflow = self.look(tid, id);
        self.summary.closed_overflowing += u64::from(overflow);
        let Some(followed) = self.rings.remove(&id) else { return };
        if let (Some(tracepoints), Some(address)) = (&mut self.tracepoints, followed.address) {
            tracepoints.forget(address);
        }
        for flight in followed.in_flight.armed() {
            self.summary.armed.push(self.armed(id, &flight));
        }
        for flight in followed.in_flight.may_wait() {
            self.summary.may_wait.push(self.armed(id, &flight));
        }
        let left = self.calls.is_some().then(|| event::Left::of(followed.owner)).flatten();
        let (queues, published) = (followed.ring.queues(), &followed.ring.published()[..]);
        let fact = Fact::Closing { queues, published };
        self.doctor.see(self.now(), tid, (id, followed.owner), &fact);
        let never_submitted = followed.ring.waiting_entries();
        let never_reaped = followed.ring.unreaped();
        self.summary.never_submitted += u64::from(never_submitted);
        self.summary.never_reaped += u64::from(never_reaped);
        self.summary.lost += u64::from(followed.ring.lost());
        drop(followed);
        self.tell(tid, What::Close(event::Close { ring: id, never_submitted, never_reaped, left }));
        self.flush();
    }

    /// The rings that are still followed.
    pub fn followed(&self) -> Vec<RingId> {
        self.rings.keys().copied().collect()
    }

    /// All rings that are followed.
    pub fn now_all(&mut self) -> Vec<RingNow> {
        let ids = self.followed();
        for id in &ids {
            self.look_unless_waiting(0, *id);
        }
        self.flush();
        ids.into_iter().filter_map(|id| self.now_of(id)).collect()
    }

    fn now_of(&self, id: RingId) -> Option<RingNow> {
        let followed = self.rings.get(&id)?;
        let inside = self.inside.values().filter(|inside| inside.ring == Some(id));
        let in_flight = &followed.in_flight;
        Some(RingNow {
            ring: id,
            polled: followed.ring.polled(),
            pushed: followed.ring.waiting_entries(),
            unreaped: followed.ring.unreaped(),
            in_flight: in_flight.armed().iter().map(|flight| self.armed(id, flight)).collect(),
            silent: in_flight.any_unknown(),
            may_wait: in_flight.may_wait().iter().map(|flight| self.armed(id, flight)).collect(),
            inside: inside.map(|inside| inside.event.clone()).collect(),
        })
    }
}
