//! Which entry a completion answers.
//!
//! The kernel gives back `user_data` and nothing else. Most programs choose it so that one
//! entry at a time carries a value; some give every entry the same. Then the completion's result
//! and flags narrow the choice down, and the oldest of the rest is taken.

mod flight;

use std::collections::{HashMap, VecDeque};

use super::codes::{cqe, op, sqe};
use super::decode::{Completion, Entry};
pub use flight::Flight;

/// The entry behind a completion.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The entry it answers.
    pub flight: Flight,
    /// Entries of different operations could have been meant.
    pub ambiguous: bool,
}

/// The entries of one ring that may still be answered.
#[derive(Debug, Default)]
pub struct InFlight {
    by_user_data: HashMap<u64, VecDeque<Flight>>,
    /// Entries that stay silent if they succeed (`IOSQE_CQE_SKIP_SUCCESS`). It is not known whether
    /// they are done, so only the last few are kept.
    silent: VecDeque<Flight>,
    /// Zero-copy sends that were cancelled, for the link before them broke. They complete
    /// without MORE, and a notification comes all the same.
    cancelled: VecDeque<Flight>,
    /// The chain that the next entry belongs to: the entry before linked it.
    in_chain: Option<u64>,
    /// How many entries went in so far.
    count: u64,
}

/// How many silent entries are remembered.
const SILENT: usize = 4096;

/// How many cancelled zero-copy sends are remembered.
const CANCELLED: usize = 64;

/// How many entries are remembered that may have been answered unseen.
const UNSURE: usize = 1024;

/// How many entries with the same `user_data` are searched for one of another operation.
const LOOKED_AT: usize = 64;

impl InFlight {
    /// An entry went in.
    pub fn submitted(&mut self, seq: u64, us: u64, entry: Entry) {
        let chained = entry.linked() || self.in_chain.is_some();
        let chain = self.in_chain.unwrap_or(seq);
        self.in_chain = entry.linked().then_some(chain);
        self.count += 1;
        let flight = Flight {
            seq,
            nth: self.count,
            us,
            entry,
            words: None,
            answers: 0,
            chained,
            chain,
            unsure: false,
            ran: None,
            before: false,
        };
        if entry.has(sqe::CQE_SKIP_SUCCESS) && !entry.multishot() {
            // What ends at once has ended when an enter after it brings another one of its name.
            self.silent.retain(|before| {
                let same = before.entry.user_data == entry.user_data;
                !(same && (before.unsure || before.us < us && ends_at_once(before)))
            });
            push_last(&mut self.silent, flight, SILENT);
        } else {
            let flights = self.by_user_data.entry(entry.user_data).or_default();
            // A program uses a value again once its entry was answered.
            flights.retain(|before| !before.unsure || before.entry.multishot());
            flights.push_back(flight);
        }
    }

    /// Entries went in unseen.
    pub fn missed(&mut self, entries: u64) {
        self.count += entries;
    }

    /// An entry went in before the trace began, and may be under way.
    pub fn was_submitted(&mut self, seq: u64, entry: Entry, words: &str) {
        self.submitted(seq, 0, entry);
        if let Some(flight) = self.find(seq, entry.user_data) {
            flight.words = Some(words.into());
            flight.before = true;
        }
    }

    /// Completions went by unseen: each entry may have been answered. If there are too many,
    /// they are forgotten, but for multishots, which are few and live long.
    pub fn lost_sight(&mut self) {
        let mut unsure = 0;
        for flight in self.by_user_data.values_mut().flatten() {
            flight.unsure = true;
            unsure += usize::from(!flight.entry.multishot());
        }
        if unsure > UNSURE {
            self.by_user_data.retain(|_, flights| {
                flights.retain(|flight| flight.entry.multishot());
                !flights.is_empty()
            });
        }
    }

    /// An entry that was not fully answered, if it is kept; the last ones are found soonest.
    pub fn find(&mut self, seq: u64, user_data: u64) -> Option<&mut Flight> {
        let same = self.by_user_data.get_mut(&user_data).into_iter().flatten();
        let silent = self.silent.iter_mut();
        same.rev().chain(silent.rev()).find(|flight| flight.seq == seq)
    }

    /// A completion came out: returns the entry that it answers, which is forgotten unless more
    /// will come. The likeliest comes first: an entry that waits and could have got this answer,
    /// then one that only reports failure, then any with the same `user_data`.
    pub fn completed(&mut self, completion: &Completion) -> Option<Answer> {
        let answer = self.answer(completion)?;
        self.end_others(&answer.flight, completion.res);
        Some(answer)
    }

    fn answer(&mut self, completion: &Completion) -> Option<Answer> {
        let fits = |flight: &Flight| flight.could_get(completion);
        let waiting = self.by_user_data.get(&completion.user_data);
        if let Some(index) = waiting.and_then(|flights| flights.iter().position(fits)) {
            return self.answer_waiting(completion, index);
        }
        let failed = |flight: &Flight| {
            flight.entry.user_data == completion.user_data && completion.res < 0 && fits(flight)
        };
        if let Some(index) = self.silent.iter().position(failed) {
            let mut flight = self.silent.remove(index)?;
            flight.answers = 1;
            return Some(Answer { flight, ambiguous: false });
        }
        let cancelled = |flight: &Flight| {
            flight.entry.user_data == completion.user_data && completion.has(cqe::NOTIF)
        };
        if let Some(index) = self.cancelled.iter().position(cancelled) {
            let flight = self.cancelled.remove(index)?;
            return Some(Answer { flight, ambiguous: false });
        }
        self.answer_waiting(completion, 0)
    }

    fn answer_waiting(&mut self, completion: &Completion, index: usize) -> Option<Answer> {
        let flights = self.by_user_data.get_mut(&completion.user_data)?;
        let opcode = flights.get(index)?.entry.opcode;
        let ambiguous = flights
            .iter()
            .take(LOOKED_AT)
            .any(|other| other.entry.opcode != opcode && other.could_get(completion));
        let flight = flights.get_mut(index)?;
        flight.answers += 1;
        flight.unsure = false;
        let flight = flight.clone();
        if !completion.has(cqe::MORE) {
            if flight.entry.zero_copy() && completion.res == -libc::ECANCELED {
                push_last(&mut self.cancelled, flight.clone(), CANCELLED);
            }
            flights.remove(index);
            if flights.is_empty() {
                self.by_user_data.remove(&completion.user_data);
            }
        }
        Some(Answer { flight, ambiguous })
    }

    /// Forgets the entries that this answer proves done without a completion: silent ones before it
    /// in its chain, all behind it if it has CQE_SKIP_SUCCESS and broke the chain, and silent
    /// receives from a socket that was shut down. Those that were cancelled are done, too, but may
    /// still have a completion.
    fn end_others(&mut self, by: &Flight, res: i32) {
        const SHUT_WR: u32 = 1;
        let entry = by.entry;
        let same_file = |other: &Entry| {
            other.fd == entry.fd && other.has(sqe::FIXED_FILE) == entry.has(sqe::FIXED_FILE)
        };
        let behind = |other: &Flight| {
            let broken = by.chained && entry.has(sqe::IO_LINK) && res < 0;
            broken && other.chain == by.chain && other.seq > by.seq
        };
        // In a chain that was broken before it, all have one.
        if entry.has(sqe::CQE_SKIP_SUCCESS) && res < 0 && !by.unsure {
            self.silent.retain(|other| !behind(other));
            self.by_user_data.retain(|_, flights| {
                flights.retain(|other| !behind(other));
                !flights.is_empty()
            });
        }
        self.silent.retain_mut(|silent| {
            let in_chain = by.chained && silent.chain == by.chain;
            let before = in_chain && silent.seq < by.seq && res != -libc::ECANCELED;
            let cancelled = behind(silent)
                || entry.opcode == op::ASYNC_CANCEL && res >= 0 && cancels(&entry, &silent.entry);
            silent.unsure |= cancelled;
            let shut_down = entry.opcode == op::SHUTDOWN
                && res >= 0
                && entry.len != SHUT_WR
                && silent.entry.takes()
                && same_file(&silent.entry);
            !(before || shut_down)
        });
    }

    /// `IORING_OP_POLL_REMOVE` gave an armed poll another `user_data`.
    pub fn renamed(&mut self, from: u64, to: u64) {
        let Some(flights) = self.by_user_data.get_mut(&from) else { return };
        let Some(index) = flights.iter().position(|flight| flight.entry.opcode == op::POLL_ADD)
        else {
            return;
        };
        if let Some(mut flight) = flights.remove(index) {
            flight.entry.user_data = to;
            self.by_user_data.entry(to).or_default().push_back(flight);
        }
    }

    /// Whether entries may be under way of which it is not known: they are silent when they are
    /// done, or their completions went by unseen.
    pub fn any_unknown(&self) -> bool {
        let mut flights = self.by_user_data.values().flatten();
        !self.silent.is_empty() || flights.any(|flight| flight.unsure)
    }

    /// Silent entries that may still wait, since no answer proves them done; oldest first.
    pub fn may_wait(&self) -> Vec<Flight> {
        let waiting = self.silent.iter().filter(|it| !it.unsure && waits(&it.entry));
        waiting.cloned().collect()
    }

    /// Entries that were not fully answered, oldest first; unknown ones are left out.
    pub fn armed(&self) -> Vec<Flight> {
        let all = self.by_user_data.values().flatten();
        let mut flights: Vec<Flight> = all.filter(|flight| !flight.unsure).cloned().collect();
        flights.sort_by_key(|flight| flight.seq);
        flights
    }
}

/// Keeps the last few.
fn push_last(flights: &mut VecDeque<Flight>, flight: Flight, at_most: usize) {
    if flights.len() == at_most {
        flights.pop_front();
    }
    flights.push_back(flight);
}

/// Whether a cancel that succeeded has ended this entry.
fn cancels(cancel: &Entry, entry: &Entry) -> bool {
    /// `IORING_ASYNC_CANCEL_FD` and `IORING_ASYNC_CANCEL_ANY`.
    const FD: u32 = 1 << 1;
    const ANY: u32 = 1 << 2;
    match cancel.op_flags {
        flags if flags & ANY != 0 => true,
        flags if flags & FD != 0 => entry.fd == cancel.fd,
        _ => entry.user_data == cancel.addr,
    }
}

/// Whether an operation can wait for something to happen outside of the program.
fn waits(entry: &Entry) -> bool {
    let others = [op::ACCEPT, op::CONNECT, op::POLL_ADD, op::TIMEOUT, op::SPLICE, op::FUTEX_WAIT];
    entry.takes() || entry.gives() || others.contains(&entry.opcode)
}

/// Whether an entry is done soon after it went in: it waits for nothing, nor for another entry.
fn ends_at_once(flight: &Flight) -> bool {
    !waits(&flight.entry) && !flight.chained && !flight.entry.has(sqe::IO_DRAIN)
}

#[cfg(test)]
mod tests;
