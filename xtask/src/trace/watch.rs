//! All the rings of a trace, and the story they tell: events and totals.
//!
//! Shared by the thread that stops the program and the one that looks at sleeping and polled
//! rings in between, behind one lock.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};

use common::catalog;
use common::token::{Op, Token};
use libc::pid_t;

use super::context;
use super::decode::{Completion, Entry, op};
use super::describe::{details, result};
use super::descriptors::RingId;
use super::event::{self, Event, What};
use super::names::{error_name, hex, names, operation, user_data};
use super::pairing::{Flight, InFlight};
use super::params::{Params, setup};
use super::ring::{Ring, Sight};
use super::summary::{Armed, Summary, UNPAIRED};

/// Where events go.
pub trait Sink: Send {
    /// Takes what happened at one stop of the program; all of an enter that did not sleep
    /// arrives together.
    fn take(&mut self, events: &[Event]);
}

/// A ring, and what is under way in it.
#[derive(Debug)]
struct Followed {
    ring: Ring,
    owner: pid_t,
    in_flight: InFlight,
}

/// An enter that has not returned.
#[derive(Debug)]
struct Inside {
    ring: Option<RingId>,
    event: event::Enter,
    since: Instant,
    us: u64,
    told: bool,
}

/// The state of a trace.
pub struct Watch {
    began: Instant,
    /// The totals so far.
    pub summary: Summary,
    tokens: bool,
    rings: BTreeMap<RingId, Followed>,
    inside: HashMap<pid_t, Inside>,
    last_ring: RingId,
    last_seq: u64,
    over: bool,
    batch: Vec<Event>,
    sinks: Vec<Box<dyn Sink>>,
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("rings", &self.rings).finish_non_exhaustive()
    }
}

/// An enter that takes longer than this sleeps: its entries are told before it returns.
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
            last_ring: 0,
            last_seq: 0,
            over: false,
            batch: Vec::new(),
            sinks,
        }
    }

    fn now(&self) -> u64 {
        self.began.elapsed().as_micros() as u64
    }

    /// Tells something that needs no looking at a ring.
    pub fn tell(&mut self, tid: pid_t, what: What) {
        let us = self.now();
        self.batch.push(Event { us, tid, what });
    }

    /// Hands what was told to the sinks.
    pub fn flush(&mut self) {
        if !self.batch.is_empty() {
            for sink in &mut self.sinks {
                sink.take(&self.batch);
            }
            self.batch.clear();
        }
    }

    /// The program has ended, and all that it started.
    pub fn end(&mut self) {
        self.over = true;
    }

    /// Whether it has.
    pub fn over(&self) -> bool {
        self.over
    }

    /// Whether there is nothing to look at in between.
    pub fn idle(&self) -> bool {
        self.rings.is_empty()
    }

    /// A ring was granted and taken over; its number.
    pub fn follow(&mut self, owner: pid_t, ring: Ring) -> RingId {
        self.last_ring += 1;
        self.summary.polled |= ring.polled();
        let followed = Followed { ring, owner, in_flight: InFlight::default() };
        self.rings.insert(self.last_ring, followed);
        self.last_ring
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

    /// A system call that has nothing to do with rings.
    pub fn count_call(&mut self, name: &str) {
        match self.summary.other_calls.get_mut(name) {
            Some(count) => *count += 1,
            None => {
                self.summary.other_calls.insert(name.to_string(), 1);
            }
        }
    }

    /// A task of `process` makes some other call: a moment to look at its rings, for what
    /// completes outside of an enter is posted just before the program goes on, and a small
    /// queue comes round soon.
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

    /// Looks at a ring, unless an enter is under way whose beginning has not been told.
    fn look_unless_waiting(&mut self, tid: pid_t, id: RingId) {
        if !self.inside.values().any(|inside| !inside.told && inside.ring == Some(id)) {
            self.look(tid, id);
        }
    }

    /// A register call returned.
    pub fn registered(&mut self, tid: pid_t, told: event::Register) {
        *self.summary.registers.entry(told.op.clone()).or_default() += 1;
        let ring = told.ring;
        self.tell(tid, What::Register(told));
        if let Some(ring) = ring {
            self.look(tid, ring);
        }
        self.flush();
    }

    /// An enter begins.
    pub fn entering(&mut self, tid: pid_t, ring: Option<RingId>, args: &[u64; 6]) {
        self.summary.enters += 1;
        if let Some(id) = ring {
            self.look(tid, id);
            if let Some(followed) = self.rings.get_mut(&id) {
                followed.ring.offer(args[1] as u32);
            }
        }
        self.flush();
        let event = event::Enter {
            ring,
            enter: self.summary.enters,
            to_submit: args[1] as u32,
            min_complete: args[2] as u32,
            at_most_us: context::of_enter(tid, args),
            flags: names(&catalog::ENTER_FLAGS, args[3] as u32),
            fd: args[0] as i32,
        };
        let inside = Inside { ring, event, since: Instant::now(), us: self.now(), told: false };
        self.inside.insert(tid, inside);
    }

    /// An enter returns.
    pub fn returned(&mut self, tid: pid_t, result: i64) {
        let Some(inside) = self.inside.remove(&tid) else { return };
        let inside_us = inside.since.elapsed().as_micros() as u64;
        if !inside.told {
            let what = What::Enter(inside.event.clone());
            self.batch.push(Event { us: inside.us, tid, what });
        }
        let mut overflow = false;
        if let Some(id) = inside.ring {
            self.take_rewound(tid, id, result);
            overflow = self.look(tid, id);
            if !self.somebody_inside(id) {
                if let Some(followed) = self.rings.get_mut(&id) {
                    followed.ring.withdraw();
                }
            }
        }
        let error = (result < 0).then(|| error_name(-result as i32));
        if let Some(name) = &error {
            *self.summary.failed_enters.entry(name.clone()).or_default() += 1;
        }
        self.summary.overflows += u64::from(overflow);
        let enter = inside.event.enter;
        let ring = inside.ring;
        self.tell(
            tid,
            What::Return(event::Return { ring, enter, result, error, inside_us, overflow }),
        );
        self.flush();
    }

    fn take_rewound(&mut self, tid: pid_t, id: RingId, result: i64) {
        let Some(followed) = self.rings.get_mut(&id) else { return };
        if followed.ring.params.has(setup::SQ_REWIND) {
            let entries = followed.ring.rewound(result.clamp(0, i64::from(u32::MAX)) as u32);
            let sight = Sight { submitted: entries, ..Default::default() };
            self.tell_sight(tid, id, sight);
        }
    }

    /// A task is gone, in whatever call it was.
    pub fn task_gone(&mut self, tid: pid_t) {
        self.inside.remove(&tid);
    }

    /// Looks at every ring while the program runs or sleeps. Whether anything had moved.
    pub fn look_at_all(&mut self) -> bool {
        let late: Vec<pid_t> = self
            .inside
            .iter()
            .filter(|(_, inside)| !inside.told && inside.since.elapsed() >= ASLEEP)
            .map(|(tid, _)| *tid)
            .collect();
        for tid in late {
            let Some(inside) = self.inside.get_mut(&tid) else { continue };
            inside.told = true;
            let (us, ring) = (inside.us, inside.ring);
            let what = What::Enter(inside.event.clone());
            self.batch.push(Event { us, tid, what });
            if let Some(id) = ring {
                self.look(tid, id);
            }
        }
        for id in self.followed() {
            self.look_unless_waiting(0, id);
        }
        let moved = !self.batch.is_empty();
        self.flush();
        moved
    }

    /// Whether a ring has to be looked at often, and whether an enter waits to be told.
    pub fn hurry(&self) -> (bool, bool) {
        let polled = self.rings.values().any(|followed| followed.ring.polled());
        (polled, self.inside.values().any(|inside| !inside.told))
    }

    fn somebody_inside(&self, id: RingId) -> bool {
        self.inside.values().any(|inside| inside.ring == Some(id))
    }

    /// Looks at one ring and tells what it sees; whether completions overflow.
    pub fn look(&mut self, tid: pid_t, id: RingId) -> bool {
        let inside = self.somebody_inside(id);
        let Some(followed) = self.rings.get_mut(&id) else { return false };
        let sight = followed.ring.look(inside);
        let overflow = sight.overflow;
        if !sight.is_empty() {
            self.tell_sight(tid, id, sight);
        }
        overflow
    }

    fn tell_sight(&mut self, tid: pid_t, ring: RingId, sight: Sight) {
        for entry in sight.submitted {
            self.tell_entry(tid, ring, entry);
        }
        for completion in &sight.completed {
            self.tell_completion(tid, ring, completion);
        }
        let (entries, completions) = (sight.unseen_entries, sight.unseen_completions);
        let dropped = sight.dropped;
        self.summary.unseen_entries += entries;
        self.summary.unseen_completions += completions;
        self.summary.dropped += dropped;
        if entries + completions + dropped > 0 {
            self.tell(tid, What::Unseen(event::Unseen { ring, entries, completions, dropped }));
        }
    }

    fn tell_entry(&mut self, tid: pid_t, ring: RingId, entry: Entry) {
        let us = self.now();
        self.last_seq += 1;
        let seq = self.last_seq;
        let op = operation(entry.opcode);
        *self.summary.entries.entry(op.clone()).or_default() += 1;
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        followed.in_flight.submitted(seq, us, entry);
        const UPDATE_USER_DATA: u32 = 1 << 2;
        if entry.opcode == op::POLL_REMOVE && entry.len & UPDATE_USER_DATA != 0 {
            followed.in_flight.renamed(entry.addr, entry.off);
        }
        let owner = followed.owner;
        let mut details = details(&entry, &|value| self.meaning(value, None));
        if let Some(detail) = context::of_entry(owner, &entry) {
            details.push(detail);
        }
        let submit = event::Submit {
            ring,
            seq,
            op,
            opcode: entry.opcode,
            flags: names(&catalog::ENTRY_FLAGS, u32::from(entry.flags)),
            user_data: hex(entry.user_data),
            meaning: self.meaning(entry.user_data, Some(entry.opcode)),
            words: details.words(),
            details: details.object(),
        };
        self.batch.push(Event { us, tid, what: What::Submit(submit) });
    }

    fn tell_completion(&mut self, tid: pid_t, ring: RingId, completion: &Completion) {
        let us = self.now();
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        let answer = followed.in_flight.completed(completion);
        let asked = answer.map(|answer| answer.flight.entry);
        let mut words = result(asked.as_ref(), completion);
        if let Some(entry) = &asked {
            if let Some(data) = context::of_completion(followed.owner, entry, completion) {
                words = format!("{words} {data}");
            }
        }
        let op = asked.map(|entry| operation(entry.opcode));
        let name = op.clone().unwrap_or_else(|| UNPAIRED.to_string());
        let counts = self.summary.completions.entry(name).or_default();
        counts.count += 1;
        counts.errors += u64::from(completion.error().is_some());
        counts.more += u64::from(completion.has(super::decode::cqe::MORE));
        let complete = event::Complete {
            ring,
            seq: answer.map(|answer| answer.flight.seq),
            op,
            ambiguous: answer.is_some_and(|answer| answer.ambiguous),
            user_data: hex(completion.user_data),
            meaning: self.meaning(completion.user_data, asked.map(|entry| entry.opcode)),
            res: completion.res,
            error: completion.error().map(error_name),
            words,
            flags: names(&catalog::COMPLETION_FLAGS, completion.flags & 0xffff),
            buffer: completion.buffer(),
            more: completion.has(super::decode::cqe::MORE),
            after_us: answer.map(|answer| us.saturating_sub(answer.flight.us)),
            extra: completion.extra.map(|extra| extra.map(hex)),
        };
        self.batch.push(Event { us, tid, what: What::Complete(complete) });
    }

    /// `user_data` by its meaning. A foreign program's may look like a token by chance, so
    /// the operation has to agree.
    fn meaning(&self, value: u64, opcode: Option<u8>) -> String {
        let token = Token::unpack(value)
            .filter(|token| self.tokens && opcode.is_none_or(|opcode| agrees(token.op, opcode)));
        token.map_or_else(|| user_data(value), |token| token.to_string())
    }

    /// The program is about to lose its last handle on a ring: one last look, then let go.
    pub fn close(&mut self, tid: pid_t, id: RingId) {
        self.look(tid, id);
        let Some(followed) = self.rings.remove(&id) else { return };
        let armed: Vec<Armed> =
            followed.in_flight.armed().iter().map(|flight| self.armed(id, flight)).collect();
        self.summary.armed.extend(armed);
        let never_submitted = followed.ring.waiting_entries();
        let never_reaped = followed.ring.unreaped();
        self.summary.never_submitted += u64::from(never_submitted);
        self.summary.never_reaped += u64::from(never_reaped);
        self.summary.lost += u64::from(followed.ring.lost());
        drop(followed);
        self.tell(tid, What::Close(event::Close { ring: id, never_submitted, never_reaped }));
        self.flush();
    }

    fn armed(&self, ring: RingId, flight: &Flight) -> Armed {
        let entry = &flight.entry;
        Armed {
            ring,
            seq: flight.seq,
            op: operation(entry.opcode),
            words: details(entry, &|value| self.meaning(value, None)).words(),
            meaning: self.meaning(entry.user_data, Some(entry.opcode)),
            multishot: entry.multishot(),
            linked: entry.linked(),
        }
    }

    /// The rings that are still followed.
    pub fn followed(&self) -> Vec<RingId> {
        self.rings.keys().copied().collect()
    }
}

/// Whether a token's operation is one that this entry can be.
fn agrees(token: Op, opcode: u8) -> bool {
    match token {
        Op::Accept => opcode == op::ACCEPT,
        Op::Recv | Op::Discard => matches!(opcode, op::RECV | op::RECVMSG | op::READ),
        Op::Send => matches!(opcode, op::SEND | op::SEND_ZC | op::WRITE),
        Op::Shutdown => opcode == op::SHUTDOWN,
        Op::Close => opcode == op::CLOSE,
        Op::Cancel => opcode == op::ASYNC_CANCEL,
        Op::Signal => matches!(opcode, op::READ | op::READ_MULTISHOT | op::POLL_ADD),
    }
}
