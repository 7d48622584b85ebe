//! All the rings of a trace, and what happens in them: events and totals.
//!
//! Shared by the thread that stops the program and the one that looks at sleeping and polled
//! rings in between, behind one lock. [`rings`] come and go, [`enters`] begin and return, and a look
//! at a ring finds what was [submitted and completed](submit_and_complete) and [where it
//! ran](where_it_ran); [`diagnose`] passes all that to the rules.
//!
//! Events come in the order of time. An enter is reported when it returns, or while it sleeps, with
//! the time at which it began: until then, later events are held back.

mod diagnose;
mod enters;
mod joined;
mod other;
mod rings;
mod submit_and_complete;
mod where_it_ran;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::time::{Duration, Instant};

use libc::pid_t;

use super::diagnosis::Doctor;
use super::event::{self, Event, What};
use super::names::operation;
use super::pairing::InFlight;
use super::registered::Registered;
use super::ring::{Offer, Posted, Ring, Taken};
use super::ring_descriptors::RingId;
use super::summary::Summary;
use super::tracepoints::{self, Tracepoints};
use super::workers::Workers;

use enters::Inside;
pub use other::{CALLS_KEPT, OtherCall};

/// Where events go.
pub trait Sink: Send {
    /// Takes what happened at one stop of the program. All events of an enter that did not sleep
    /// arrive together.
    fn take(&mut self, events: &[Event]);
}

/// A ring, and what is under way in it.
#[derive(Debug)]
struct Followed {
    ring: Ring,
    owner: pid_t,
    in_flight: InFlight,
    registered: Registered,
    /// What the kernel's tracepoints call it.
    address: Option<tracepoints::Address>,
    /// Completions that the program has not reaped, with the code of the operation and when
    /// they were seen.
    unreaped: VecDeque<(Posted, u8, u64)>,
    /// The last reported state of its polling thread.
    poller: Option<event::Poller>,
}

/// A place in the order of events.
#[derive(Clone, Copy, Debug)]
struct Moment {
    us: u64,
    /// Counts up; several moments can be in one microsecond.
    order: u64,
}

/// The state of a trace.
pub struct Watch {
    began: Instant,
    /// The totals so far.
    pub summary: Summary,
    tokens: bool,
    rings: BTreeMap<RingId, Followed>,
    inside: HashMap<pid_t, Inside>,
    /// Tasks that are in `io_uring_setup`.
    making: HashSet<pid_t>,
    /// The kernel's workers, by process.
    workers: HashMap<pid_t, Workers>,
    /// The `schedstat` of tasks that submit and wait in one enter.
    schedstats: HashMap<pid_t, File>,
    tracepoints: Option<Tracepoints>,
    last_ring: RingId,
    last_seq: u64,
    messages: VecDeque<submit_and_complete::Message>,
    calls: Option<Vec<OtherCall>>,
    /// Whether a socket is local to its machine (`AF_UNIX`), by the name of its file.
    local: HashMap<String, bool>,
    doctor: Doctor,
    /// The known stacks of threads.
    stacks: HashMap<pid_t, Option<Range<u64>>>,
    /// When threads began the calls that they are in and that do not concern rings.
    called_at: HashMap<pid_t, u64>,
    over: bool,
    /// Something was seen since the last [`Watch::look_at_all`].
    moved: bool,
    last_order: u64,
    /// Events that the sinks have not got yet, each with its [`Moment::order`].
    batch: Vec<(u64, Event)>,
    sinks: Vec<Box<dyn Sink>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("rings", &self.rings).finish_non_exhaustive()
    }
}

/// An enter that takes longer than this sleeps: its entries are reported before it returns.
const ASLEEP: Duration = Duration::from_millis(1);

impl Watch {
    /// Begins the clock. `tokens` says that `user_data` is `common::token`'s.
    pub fn new(sinks: Vec<Box<dyn Sink>>, tokens: bool) -> Watch {
        Watch {
            began: Instant::now(),
            summary: Summary::default(),
            tokens,
            rings: BTreeMap::new(),
            inside: HashMap::new(),
            making: HashSet::new(),
            workers: HashMap::new(),
            schedstats: HashMap::new(),
            tracepoints: None,
            last_ring: 0,
            last_seq: 0,
            messages: VecDeque::new(),
            calls: None,
            local: HashMap::new(),
            doctor: Doctor::default(),
            stacks: HashMap::new(),
            called_at: HashMap::new(),
            over: false,
            moved: false,
            last_order: 0,
            batch: Vec::new(),
            sinks,
        }
    }

    /// Microseconds since the trace began.
    pub fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// This moment. The next place in the order is left free.
    fn moment(&mut self) -> Moment {
        self.last_order += 2;
        Moment { us: self.now(), order: self.last_order }
    }

    /// Reports an event that needs no look at a ring.
    pub fn tell(&mut self, tid: pid_t, what: What) {
        let now = self.moment();
        self.tell_at(now, tid, what);
    }

    fn tell_at(&mut self, at: Moment, tid: pid_t, what: What) {
        self.batch.push((at.order, Event { us: at.us, tid, what }));
    }

    /// When an entry of `offer` went in: right after its enter began, or `now` if a later event was
    /// already reported.
    fn moment_of(&self, offer: Offer, now: Moment) -> Moment {
        match self.inside.get(&offer.tid) {
            Some(Inside { told: false, since, .. }) => Moment { order: since.order + 1, ..*since },
            _ => now,
        }
    }

    /// Whether only the totals are needed: putting each event into words is most of the work.
    fn nobody_listens(&self) -> bool {
        self.sinks.is_empty()
    }

    /// Gives the events to the sinks, up to the first enter that is still held back.
    pub fn flush(&mut self) {
        self.tell_diagnoses();
        let untold = self.inside.values().filter(|inside| !inside.told);
        let end = untold.map(|inside| inside.since.order).min().unwrap_or(u64::MAX);
        self.batch.sort_by_key(|(order, _)| *order);
        let ready = self.batch.partition_point(|(order, _)| *order < end);
        let events: Vec<Event> = self.batch.drain(..ready).map(|(_, event)| event).collect();
        if !events.is_empty() {
            for sink in &mut self.sinks {
                sink.take(&events);
            }
        }
    }

    /// The program has ended, and all that it started.
    pub fn end(&mut self) {
        self.over = true;
        self.tracepoints = None;
    }

    /// Whether the program has ended.
    pub fn over(&self) -> bool {
        self.over
    }

    /// Whether there is nothing to look at or to report in between.
    pub fn idle(&self) -> bool {
        self.rings.is_empty() && self.inside.values().all(|inside| inside.told)
    }

    /// Reads the kernel's tracepoints as well.
    pub fn read_tracepoints(&mut self, tracepoints: Tracepoints) {
        self.summary.tracepoints = true;
        self.tracepoints = Some(tracepoints);
    }

    /// A task of `process` makes some other call: a moment to look at its rings. A completion that
    /// comes outside of an enter is posted just before the program continues, and a small queue
    /// wraps soon.
    pub fn glance(&mut self, tid: pid_t, process: pid_t) {
        let ids: Vec<RingId> = self
            .rings
            .iter()
            .filter(|(_, followed)| followed.owner == process)
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            self.look_unless_waiting(tid, id);
        }
        self.flush();
    }

    /// Looks at a ring, unless an enter is under way whose beginning was not reported.
    fn look_unless_waiting(&mut self, tid: pid_t, id: RingId) {
        if !self.inside.values().any(|inside| !inside.told && inside.ring == Some(id)) {
            self.look(tid, id);
        }
    }

    /// Looks at every ring while the program runs or sleeps. Returns whether anything had moved.
    pub fn look_at_all(&mut self) -> bool {
        let now = self.now();
        let asleep = |inside: &Inside| Duration::from_micros(now - inside.since.us) >= ASLEEP;
        let late: Vec<pid_t> = self
            .inside
            .iter()
            .filter(|(_, inside)| !inside.told && asleep(inside))
            .map(|(tid, _)| *tid)
            .collect();
        for tid in late {
            if let Some(id) = self.inside.get(&tid).and_then(|inside| inside.ring) {
                self.look(tid, id);
            }
            let Some(inside) = self.inside.get_mut(&tid) else { continue };
            inside.told = true;
            let (since, event) = (inside.since, inside.event.clone());
            self.tell_at(since, tid, What::Enter(event));
        }
        for id in self.followed() {
            self.look_unless_waiting(0, id);
        }
        self.look_at_workers();
        self.flush();
        std::mem::take(&mut self.moved)
    }

    /// Whether a ring has to be looked at often, and whether an enter waits to be reported.
    pub fn hurry(&self) -> (bool, bool) {
        let polled = self.rings.values().any(|followed| followed.ring.polled());
        (polled, self.inside.values().any(|inside| !inside.told))
    }

    /// Looks at one ring and reports what it sees. Returns whether completions overflow.
    pub fn look(&mut self, tid: pid_t, id: RingId) -> bool {
        let now = self.moment();
        self.look_at(now, tid, id, Vec::new())
    }

    fn look_at(&mut self, now: Moment, tid: pid_t, id: RingId, rewound: Vec<Taken>) -> bool {
        let quiet = self.nobody_listens();
        let inside = self.inside.values().any(|inside| !inside.over && inside.ring == Some(id));
        let Some(followed) = self.rings.get_mut(&id) else { return false };
        let follow = submit_and_complete::follow(
            quiet,
            self.tokens,
            submit_and_complete::whose(tid, followed.owner),
        );
        let mut sight = followed.ring.look(inside, &follow);
        sight.submitted.splice(..0, rewound);
        self.count_reaped(now, id);
        let Some(followed) = self.rings.get_mut(&id) else { return false };
        let overflow = sight.overflow;
        let poller = followed.ring.poller().map(|(asleep, waiting)| event::Poller {
            ring: id,
            asleep,
            waiting,
        });
        let changed = poller.is_some() && poller != followed.poller;
        followed.poller = poller.or(followed.poller);
        if !sight.is_empty() {
            self.tell_sight(now, tid, id, sight);
        }
        if let Some(poller) = poller.filter(|_| changed) {
            self.tell_at(now, tid, What::Poller(poller));
        }
        overflow
    }

    /// Counts how long the completions lay in the queue that the program reaped since the last
    /// look.
    fn count_reaped(&mut self, now: Moment, id: RingId) {
        let Some(followed) = self.rings.get_mut(&id) else { return };
        let Some(place) = followed.ring.reaped_up_to() else { return };
        let unreaped = &mut followed.unreaped;
        let reaped = unreaped.partition_point(|(posted, ..)| posted.before(place));
        for (_, opcode, us) in unreaped.drain(..reaped) {
            let took = self.summary.times.entry(operation(opcode)).or_default();
            took.reaping.add(now.us - us);
        }
        // A program that garbles its ring reaps nothing that the tracer can see.
        let most = followed.ring.params.cq_entries as usize;
        unreaped.drain(..unreaped.len().saturating_sub(most));
    }
}
