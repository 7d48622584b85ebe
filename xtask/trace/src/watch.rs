//! All the rings of a trace, and what happens in them: events and totals.
//!
//! Shared by the thread that stops the program and the one that looks at sleeping and polled
//! rings in between, behind one lock.
//!
//! Events come in the order of time. An enter is reported when it returns, or while it sleeps, with
//! the time at which it began: until then, later events are held back.

mod diagnose;
mod joined;
mod other;
mod ring_now;
mod submit_and_complete;
mod where_it_ran;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fs::File;
use std::ops::Range;
use std::time::{Duration, Instant};

use common::catalog;
use libc::pid_t;

use super::codes::setup;
use super::context::{Reader, Wait};
use super::diagnosis::{Doctor, Fact};
use super::event::{self, Event, What};
use super::names::{error_name, names, operation};
use super::pairing::InFlight;
use super::params::Params;
use super::registered::Registered;
use super::ring::{Offer, Posted, Ring, Taken};
use super::ring_descriptors::RingId;
use super::summary::{Armed, Summary};
use super::tracepoints::{self, Tracepoints};
use super::workers::Workers;

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

/// An enter that has not returned.
#[derive(Debug)]
struct Inside {
    ring: Option<RingId>,
    event: event::Enter,
    since: Moment,
    told: bool,
    /// The task stands at the end of the call: it takes no more entries.
    over: bool,
    /// How often the task had run before, if the enter both submits and waits.
    runs: Option<u64>,
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

/// How long a state that nothing can end has to last: long enough for the trace to have seen
/// everything on a busy machine.
pub const CERTAIN: Duration = Duration::from_millis(1200);

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

    /// Reads the kernel's tracepoints as well.
    pub fn read_tracepoints(&mut self, tracepoints: Tracepoints) {
        self.summary.tracepoints = true;
        self.tracepoints = Some(tracepoints);
    }

    /// A task begins to make a ring.
    pub fn making(&mut self, tid: pid_t) {
        self.making.insert(tid);
    }

    /// A task is no longer making a ring.
    pub fn not_making(&mut self, tid: pid_t) {
        self.making.remove(&tid);
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
    fn leave(&mut self, tid: pid_t) -> Option<Inside> {
        let inside = self.inside.remove(&tid)?;
        if let Some(followed) = inside.ring.and_then(|id| self.rings.get_mut(&id)) {
            followed.ring.withdraw(tid);
        }
        Some(inside)
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

    /// The program is about to lose its last handle on a ring: one last look, then let go.
    pub fn close(&mut self, tid: pid_t, id: RingId) {
        let overflow = self.look(tid, id);
        self.summary.closed_overflowing += u64::from(overflow);
        let Some(followed) = self.rings.remove(&id) else { return };
        if let (Some(tracepoints), Some(address)) = (&mut self.tracepoints, followed.address) {
            tracepoints.forget(address);
        }
        let armed: Vec<Armed> =
            followed.in_flight.armed().iter().map(|flight| self.armed(id, flight)).collect();
        self.summary.armed.extend(armed);
        let may_wait: Vec<Armed> =
            followed.in_flight.may_wait().iter().map(|flight| self.armed(id, flight)).collect();
        self.summary.may_wait.extend(may_wait);
        let left = self.calls.is_some().then(|| event::Left::of(followed.owner)).flatten();
        self.doctor.see(
            self.began.elapsed().as_micros() as u64,
            tid,
            (id, followed.owner),
            &Fact::Closing {
                queues: followed.ring.queues(),
                published: &followed.ring.published(),
            },
        );
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
}
