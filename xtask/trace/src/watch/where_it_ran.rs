//! Concludes where operations ran from what is visible outside. The rules, in order:
//!
//! 1. What the kernel always gives to a worker ran in one.
//! 2. Completions that are there when the enter returns that submitted their entries: those of
//!    entries done at once come in the order of submission, before the enter slept.
//! 3. A buffered write that is done by then was still done by a worker, if a worker ran; so was any
//!    operation that can use one, if a worker ran and no entry of rule 1 accounts for that.
//! 4. An operation that is not done by then waits: armed, if the kernel lists it so (`PollList` in
//!    the ring's `fdinfo`), or else for what its operation and its file suggest.

use std::collections::{BTreeSet, hash_map};
use std::fs::File;

use libc::pid_t;

use super::{ASLEEP, Followed, Inside, Moment, Watch};
use crate::codes::{cqe, setup, sqe};
use crate::decode::{Completion, Entry};
use crate::event::{self, What};
use crate::pairing::{Answer, Flight};
use crate::ran::{self, Known, Place, Ran, always_in_a_worker, in_order, waits_for};
use crate::ring::Posted;
use crate::ring_descriptors::RingId;
use crate::workers::{Change, Workers, is_the_kernels, runs};

/// What a look at a ring saw for the first time.
pub(super) struct Fresh<'a> {
    /// The entries, by number and `user_data`.
    pub entries: &'a [(u64, u64)],
    /// The task whose enter offered them, if one did.
    pub by: Option<pid_t>,
    /// The completions, and the entries that they answer.
    pub completions: &'a [Posted],
    pub answers: &'a [Option<Answer>],
}

impl Fresh<'_> {
    /// Whether the entry went in since the look before.
    fn has(&self, flight: &Flight) -> bool {
        self.entries.first().is_some_and(|(first, _)| flight.seq >= *first)
    }
}

impl Watch {
    /// Notes how often a task has run that is about to submit and wait in one enter. At the return
    /// this shows whether it slept.
    pub(super) fn runs_of(&mut self, tid: pid_t) -> Option<u64> {
        let schedstat = match self.schedstats.entry(tid) {
            hash_map::Entry::Occupied(known) => known.into_mut(),
            hash_map::Entry::Vacant(new) => {
                new.insert(File::open(format!("/proc/{tid}/schedstat")).ok()?)
            }
        };
        runs(schedstat)
    }

    /// Where the answered operations ran. Notes where the others wait, and reports which workers
    /// began or ended.
    pub(super) fn settle(&mut self, now: Moment, ring: RingId, fresh: &Fresh) -> Vec<Option<Ran>> {
        let slept = fresh.by.is_some_and(|tid| self.slept(tid));
        let at_once = match fresh.by.and_then(|tid| self.inside.get(&tid)) {
            Some(inside) if slept => inside.done_before_it_slept(),
            _ => usize::MAX,
        };
        let owner = self.rings.get(&ring).map(|followed| followed.owner);
        let owner = owner.filter(|_| !fresh.entries.is_empty());
        let change = owner.and_then(|owner| self.workers_changed(owner));
        let Some(followed) = self.rings.get_mut(&ring) else { return Vec::new() };
        let workers = self.workers.entry(followed.owner).or_default();
        let mut judge = Judge { followed, workers, fresh, slept, worker_ran: None };
        let ran = judge.answered(at_once);
        judge.waiting();
        if let Some(change) = change {
            let owner = judge.followed.owner;
            let entries = judge.went_to_workers(&ran);
            let told = event::Workers {
                pid: owner,
                count: change.count,
                new: change.new,
                ended: change.ended,
                entries,
            };
            self.tell_at(now, fresh.by.unwrap_or(0), What::Workers(told));
        }
        ran
    }

    /// Where an operation ran by the kernel's tracepoints, if they are read. They do not
    /// distinguish what was done at once from what a device or a timer finished.
    pub(super) fn exactly(
        &mut self,
        ring: RingId,
        answer: Option<&Answer>,
        completion: &Completion,
        concluded: Option<Ran>,
    ) -> Option<Ran> {
        let tracepoints = self.tracepoints.as_mut()?;
        let followed = self.rings.get(&ring)?;
        let (address, flight) = (followed.address?, &answer?.flight);
        tracepoints.read();
        let last = !completion.has(cqe::MORE);
        let place = tracepoints.ran(address, flight.nth, flight.entry.user_data, last)?;
        let exact = |place| Some(Ran { place, known: Known::Exact });
        let entry = &flight.entry;
        match place {
            _ if completion.has(cqe::NOTIF) || never_ran(flight, completion) => None,
            Place::Polled | Place::Worker => exact(place),
            _ => match (concluded?.place, waits_for(entry, || followed.file_of(entry, None)).0) {
                (Place::Polled | Place::Worker, later @ (Place::Device | Place::Event)) => {
                    Some(later.concluded())
                }
                (Place::Polled | Place::Worker, _) if followed.ring.polled() => {
                    exact(Place::Poller)
                }
                (Place::Polled | Place::Worker, _) => exact(Place::Inline),
                (Place::Device | Place::Event, _) | (_, Place::Device | Place::Event) => concluded,
                (place, _) => exact(place),
            },
        }
    }

    /// Workers that ended, or that a polling thread made, are noticed in between.
    pub(super) fn look_at_workers(&mut self) {
        if self.inside.values().any(|inside| !inside.told) {
            return;
        }
        let owners: BTreeSet<pid_t> = self.rings.values().map(|followed| followed.owner).collect();
        for pid in owners {
            let Some(change) = self.workers_changed(pid) else { continue };
            let (count, new, ended) = (change.count, change.new, change.ended);
            let told = event::Workers { pid, count, new, ended, entries: Vec::new() };
            self.tell(0, What::Workers(told));
        }
    }

    fn workers_changed(&mut self, process: pid_t) -> Option<Change> {
        // A ring that is being made may have a thread that polls it.
        if !self.making.is_empty() {
            return None;
        }
        let polled = self
            .rings
            .values()
            .filter(|followed| followed.ring.polled() && followed.ring.info().is_some());
        let workers = self.workers.entry(process).or_default();
        let change = workers.look(process, || polled.map(polling_thread).collect())?;
        self.summary.workers = self.summary.workers.max(change.count as u64);
        Some(change)
    }

    fn slept(&mut self, tid: pid_t) -> bool {
        let Some(inside) = self.inside.get(&tid) else { return false };
        let (waits, over) = (inside.event.min_complete > 0, inside.over);
        if !over {
            return waits && self.now() - inside.since.us >= ASLEEP.as_micros() as u64;
        }
        let Some(before) = inside.runs else { return false };
        // It ran once more to go on from the stop at the entry: further runs mean that it slept.
        self.runs_of(tid).is_some_and(|runs| runs > before + 1)
    }
}

impl Inside {
    /// It slept, so fewer completions were there than it waits for.
    fn done_before_it_slept(&self) -> usize {
        let enough = self.event.min_complete.saturating_sub(self.event.unreaped.unwrap_or(0));
        enough.saturating_sub(1) as usize
    }
}

/// What the rules need for one look at one ring.
struct Judge<'a> {
    followed: &'a mut Followed,
    workers: &'a mut Workers,
    fresh: &'a Fresh<'a>,
    slept: bool,
    worker_ran: Option<bool>,
}

impl Judge<'_> {
    fn answered(&mut self, at_once: usize) -> Vec<Option<Ran>> {
        let fresh = self.fresh;
        let mut ran = vec![None; fresh.answers.len()];
        let mut open = Vec::new();
        for (index, (answer, posted)) in fresh.answers.iter().zip(fresh.completions).enumerate() {
            let (Some(Answer { flight, .. }), completion) = (answer, &posted.completion) else {
                continue;
            };
            if completion.has(cqe::NOTIF) || never_ran(flight, completion) {
                continue;
            }
            if !fresh.has(flight) {
                ran[index] = Some(flight.ran.unwrap_or_else(|| self.done_later(&flight.entry)));
            } else if always_in_a_worker(&flight.entry) && completion.res != -libc::EINVAL {
                ran[index] = Some(Place::Worker.concluded());
            } else {
                let (place, file) = self.waits_for(&flight.entry);
                let failed = completion.res < 0;
                let writes = place == Place::Worker && flight.entry.gives();
                if !failed && (file == Some(ran::File::Direct) || writes && self.a_worker_ran()) {
                    ran[index] = Some(place.concluded());
                } else {
                    open.push((index, flight, place, failed));
                }
            }
        }
        let order: Vec<u64> = open.iter().take(at_once).map(|(_, flight, ..)| flight.seq).collect();
        let mut in_order = in_order(&order).into_iter();
        for (index, flight, place, failed) in open {
            let at_once = in_order.next().unwrap_or(false);
            ran[index] = Some(self.done_by_the_return(&flight.entry, place, failed, at_once));
        }
        ran
    }

    /// Where an entry ran that was not seen waiting: it began behind a link, or a polling thread
    /// was quick.
    fn done_later(&self, entry: &Entry) -> Ran {
        let place = match self.waits_for(entry).0 {
            _ if always_in_a_worker(entry) => Place::Worker,
            Place::Inline | Place::Worker if !entry.gives() => self.at_once(),
            place => place,
        };
        place.concluded()
    }

    fn at_once(&self) -> Place {
        if self.followed.ring.polled() { Place::Poller } else { Place::Inline }
    }

    /// Where an entry ran whose answer was there when its enter returned, so that it may have been
    /// done at once.
    fn done_by_the_return(
        &mut self,
        entry: &Entry,
        place: Place,
        failed: bool,
        in_order: bool,
    ) -> Ran {
        let ring = &self.followed.ring;
        if ring.params.has(setup::IOPOLL) && (entry.takes() || entry.gives()) {
            return Place::Device.concluded();
        }
        let sure = self.workers.is_empty() || !matches!(place, Place::Worker | Place::Device);
        let at_once = match sure && in_order && !self.slept && !ring.polled() {
            true => self.at_once().seen(),
            false => self.at_once().concluded(),
        };
        match place {
            Place::Timer => place.concluded(),
            Place::Inline => at_once,
            Place::Worker if failed || !self.a_worker_ran() => at_once,
            Place::Worker if self.slept && !self.others_for_a_worker() => place.concluded(),
            _ if in_order => at_once,
            // Its file was ready before the kernel armed a poll.
            Place::Polled if entry.poll_first() && !self.slept => at_once,
            Place::Device if !self.others_for_a_worker() && self.a_worker_ran() => {
                Place::Worker.concluded()
            }
            _ => place.concluded(),
        }
    }

    /// Notes where the entries wait that were not answered.
    fn waiting(&mut self) {
        let mut armed = None;
        for (seq, user_data) in self.fresh.entries {
            let Some(flight) = self.followed.in_flight.find(*seq, *user_data) else { continue };
            // Behind a link it waits for another entry.
            if flight.ran.is_some() || flight.chain != *seq {
                continue;
            }
            let entry = flight.entry;
            let ran = match self.waits_for(&entry).0 {
                _ if always_in_a_worker(&entry) => Place::Worker.concluded(),
                place @ (Place::Timer | Place::Event) => place.seen(),
                Place::Polled => {
                    let armed = armed.get_or_insert_with(|| self.followed.armed());
                    let mut listed = armed.iter_mut();
                    match listed.position(|opcode| *opcode == u32::from(entry.opcode)) {
                        Some(at) => {
                            armed.swap_remove(at);
                            Place::Polled.seen()
                        }
                        None => Place::Polled.concluded(),
                    }
                }
                // A polling thread may be working on it now.
                Place::Inline | Place::Worker if !entry.gives() && self.followed.ring.polled() => {
                    continue;
                }
                Place::Worker if entry.gives() && self.workers.is_empty() => {
                    Place::Device.concluded()
                }
                place => place.concluded(),
            };
            if let Some(flight) = self.followed.in_flight.find(*seq, *user_data) {
                flight.ran = Some(ran);
            }
        }
    }

    /// The new entries that a worker took or has, by their numbers.
    fn went_to_workers(&mut self, ran: &[Option<Ran>]) -> Vec<u64> {
        let in_a_worker = |ran: Option<Ran>| ran.is_some_and(|ran| ran.place == Place::Worker);
        let fresh = self.fresh;
        let answered = fresh.answers.iter().zip(ran).filter(|(_, ran)| in_a_worker(**ran));
        let answered = answered.filter_map(|(answer, _)| Some(&answer.as_ref()?.flight));
        let mut seqs: Vec<u64> =
            answered.filter(|flight| fresh.has(flight)).map(|flight| flight.seq).collect();
        for (seq, user_data) in fresh.entries {
            let flight = self.followed.in_flight.find(*seq, *user_data);
            seqs.extend(flight.filter(|flight| in_a_worker(flight.ran)).map(|flight| flight.seq));
        }
        seqs.sort_unstable();
        seqs
    }

    fn waits_for(&self, entry: &Entry) -> (Place, Option<ran::File>) {
        waits_for(entry, || self.followed.file_of(entry, self.fresh.by))
    }

    /// Whether there are entries that account for a worker that ran.
    fn others_for_a_worker(&mut self) -> bool {
        let mut answered = self.fresh.answers.iter().flatten();
        answered.any(|answer| always_in_a_worker(&answer.flight.entry))
            || self.fresh.entries.iter().any(|(seq, user_data)| {
                let flight = self.followed.in_flight.find(*seq, *user_data);
                flight.is_some_and(|flight| always_in_a_worker(&flight.entry))
            })
    }

    fn a_worker_ran(&mut self) -> bool {
        *self.worker_ran.get_or_insert_with(|| self.workers.ran())
    }
}

impl Followed {
    /// The kind of an entry's file, by what the task `by` has open.
    fn file_of(&self, entry: &Entry, by: Option<pid_t>) -> Option<ran::File> {
        match entry.has(sqe::FIXED_FILE) {
            true => self.registered.kind_of(entry),
            false => ran::File::of(by.unwrap_or(self.owner), entry.fd),
        }
    }

    /// The codes of the operations that are armed in the ring; none if the ring is busy, or has
    /// no descriptor.
    fn armed(&self) -> Vec<u32> {
        self.ring.info().as_deref().and_then(testkit::poll_list).unwrap_or_default()
    }
}

/// The kernel's thread that polls a ring, once it has started: until then, the field names the
/// thread that made the ring.
fn polling_thread(followed: &Followed) -> Option<pid_t> {
    let info = followed.ring.info()?;
    let line = info.lines().find_map(|line| line.strip_prefix("SqThread:"))?;
    line.trim().parse().ok().filter(|tid| is_the_kernels(followed.owner, *tid))
}

/// Whether the entry was cancelled as a part of its chain, before it began.
fn never_ran(flight: &Flight, completion: &Completion) -> bool {
    flight.chained && flight.ran.is_none() && completion.res == -libc::ECANCELED
}
