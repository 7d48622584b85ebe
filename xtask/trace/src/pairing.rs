//! Which entry a completion answers.
//!
//! The kernel gives back `user_data` and nothing else. Most programs choose it so that one
//! entry at a time carries a value; some give every entry the same. Then the completion's result
//! and flags narrow the choice down, and the oldest of the rest is taken.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::codes::{cqe, op, sqe};
use super::decode::{Completion, Entry};
use super::ran::Ran;

/// An entry that may still be answered.
#[derive(Clone, Debug)]
pub struct Flight {
    /// Its number, counted over all rings of the trace.
    pub seq: u64,
    /// Its number among the entries of its ring, from 1; an entry that went by unseen has a number,
    /// too.
    pub nth: u64,
    /// When the enter that offered it continued into the kernel, or else when it was noticed, in
    /// microseconds since the trace began.
    pub us: u64,
    /// As it went in.
    pub entry: Entry,
    /// What it asked for, if that was put into words: what it points at may be gone later.
    pub words: Option<Arc<str>>,
    /// Completions that answered it so far.
    pub answers: u32,
    /// Whether it is in a chain of links, and so may be cancelled by another's failure.
    pub chained: bool,
    /// The number of the first entry of its chain; its own if it is in none.
    pub chain: u64,
    /// Completions went by unseen since: this may have been answered.
    pub unsure: bool,
    /// What it waits for, once that was looked up.
    pub ran: Option<Ran>,
    /// It went in before the trace began, at an unknown time.
    pub before: bool,
}

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

/// `IORING_ASYNC_CANCEL_ALL` and `IORING_ASYNC_CANCEL_ANY`: the result is a count.
const CANCEL_MANY: u32 = 0b101;

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
                !(same && before.us < us && ends_at_once(before))
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
        self.end_silent_ones(&answer.flight, completion);
        Some(answer)
    }

    fn answer(&mut self, completion: &Completion) -> Option<Answer> {
        let fits = |flight: &Flight| plausible(flight, completion);
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
            .any(|other| other.entry.opcode != opcode && plausible(other, completion));
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

    /// Forgets the silent entries that this answer proves done: those before it in its chain, those
    /// behind an entry that failed, those that were cancelled, and receives from a socket that was
    /// shut down.
    fn end_silent_ones(&mut self, by: &Flight, completion: &Completion) {
        const SHUT_WR: u32 = 1;
        let (entry, res) = (by.entry, completion.res);
        let same_file = |other: &Entry| {
            other.fd == entry.fd && other.has(sqe::FIXED_FILE) == entry.has(sqe::FIXED_FILE)
        };
        self.silent.retain(|silent| {
            let in_chain = by.chained && silent.chain == by.chain;
            let done = silent.seq < by.seq && res != -libc::ECANCELED
                || silent.seq > by.seq && res < 0 && entry.has(sqe::IO_LINK);
            let ended = match entry.opcode {
                _ if res < 0 => false,
                op::ASYNC_CANCEL => cancels(&entry, &silent.entry),
                op::SHUTDOWN => {
                    entry.len != SHUT_WR && silent.entry.takes() && same_file(&silent.entry)
                }
                _ => false,
            };
            !(in_chain && done || ended)
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
        self.silent.iter().filter(|flight| waits(&flight.entry)).cloned().collect()
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

/// Whether the entry could have got this answer.
fn plausible(flight: &Flight, completion: &Completion) -> bool {
    let entry = &flight.entry;
    if completion.has(cqe::NOTIF) {
        return entry.zero_copy() && flight.answers > 0;
    }
    if entry.zero_copy() && flight.answers > 0 {
        return false;
    }
    if completion.has(cqe::MORE) && !entry.multishot() && !entry.zero_copy() {
        return false;
    }
    if completion.has(cqe::BUFFER) && !may_hand_over_a_buffer(entry) {
        return false;
    }
    match completion.res {
        0 => may_be_nothing(entry),
        value if value > 0 => may_count(entry, value as u32),
        value => may_fail(flight, -i64::from(value)),
    }
}

/// Whether a successful result may be 0.
fn may_be_nothing(entry: &Entry) -> bool {
    match entry.opcode {
        op::POLL_ADD | op::LINK_TIMEOUT => false,
        // Without a count of completions to wait for, a timeout ends by time alone.
        op::TIMEOUT => entry.off != 0,
        op::WRITE | op::WRITE_FIXED | op::SEND => entry.len == 0,
        _ => true,
    }
}

/// Whether the entry may have failed like this.
fn may_fail(flight: &Flight, error: i64) -> bool {
    const INJECT_RESULT: u32 = 1 << 0;
    let entry = &flight.entry;
    match error as i32 {
        libc::ETIME => match entry.opcode {
            op::NOP => entry.op_flags & INJECT_RESULT != 0,
            opcode => matches!(opcode, op::TIMEOUT | op::LINK_TIMEOUT | op::URING_CMD),
        },
        libc::ECANCELED if !flight.chained => !matches!(
            entry.opcode,
            op::NOP | op::ASYNC_CANCEL | op::POLL_REMOVE | op::TIMEOUT_REMOVE
        ),
        libc::ENOENT | libc::EALREADY if moves_data(entry.opcode) => false,
        libc::ECANCELED | libc::EINVAL => true,
        _ => entry.opcode != op::NOP || entry.op_flags & INJECT_RESULT != 0,
    }
}

/// Operations that never answer `ENOENT`: it is for cancels and paths.
fn moves_data(opcode: u8) -> bool {
    matches!(
        opcode,
        op::READ
            | op::WRITE
            | op::READV
            | op::WRITEV
            | op::READ_FIXED
            | op::WRITE_FIXED
            | op::SEND
            | op::RECV
            | op::SENDMSG
            | op::RECVMSG
            | op::ACCEPT
            | op::POLL_ADD
            | op::TIMEOUT
    )
}

fn may_hand_over_a_buffer(entry: &Entry) -> bool {
    entry.has(sqe::BUFFER_SELECT) || matches!(entry.opcode, op::RECV_ZC | op::URING_CMD)
}

/// Whether a successful result may be this number. A byte count is no more than was asked.
fn may_count(entry: &Entry, value: u32) -> bool {
    match entry.opcode {
        op::TIMEOUT | op::LINK_TIMEOUT | op::POLL_REMOVE | op::TIMEOUT_REMOVE => false,
        op::CLOSE | op::FSYNC => false,
        op::ASYNC_CANCEL => entry.op_flags & CANCEL_MANY != 0,
        op::CONNECT | op::SHUTDOWN | op::FALLOCATE | op::BIND | op::LISTEN | op::STATX => false,
        op::READ | op::WRITE | op::READ_FIXED | op::WRITE_FIXED
            if !entry.has(sqe::BUFFER_SELECT) =>
        {
            value <= entry.len
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(opcode: u8, user_data: u64) -> Entry {
        Entry { opcode, user_data, len: 100, ..Default::default() }
    }

    fn completion(user_data: u64, res: i32, flags: u32) -> Completion {
        Completion { user_data, res, flags, extra: None }
    }

    #[test]
    fn a_multishot_is_answered_until_more_is_missing() {
        let mut flights = InFlight::default();
        flights.submitted(1, 0, Entry { ioprio: 1, ..entry(op::ACCEPT, 5) });
        for _ in 0..3 {
            let answer = flights.completed(&completion(5, 0, cqe::MORE)).expect("an answer");
            assert_eq!(answer.flight.seq, 1);
        }
        assert!(flights.completed(&completion(5, -23, 0)).is_some());
        assert!(flights.completed(&completion(5, 0, 0)).is_none());
        assert!(flights.armed().is_empty());
    }

    #[test]
    fn one_user_data_for_all_is_narrowed_down_by_the_answer() {
        let mut flights = InFlight::default();
        flights.submitted(1, 0, entry(op::READ, 0));
        flights.submitted(2, 0, entry(op::LINK_TIMEOUT, 0));
        let late = flights.completed(&completion(0, -libc::ETIME, 0)).expect("the timeout");
        assert_eq!((late.flight.seq, late.ambiguous), (2, false));
        assert_eq!(flights.completed(&completion(0, 7, 0)).expect("the read").flight.seq, 1);
    }

    #[test]
    fn a_zero_copy_send_is_answered_twice() {
        let mut flights = InFlight::default();
        flights.submitted(1, 0, entry(op::SEND_ZC, 9));
        flights.submitted(2, 0, entry(op::SEND_ZC, 9));
        let first = flights.completed(&completion(9, 10, cqe::MORE)).expect("result");
        let second = flights.completed(&completion(9, 10, cqe::MORE)).expect("result");
        assert_eq!((first.flight.seq, second.flight.seq), (1, 2));
        assert!(flights.completed(&completion(9, 0, cqe::NOTIF)).is_some());
        assert!(flights.completed(&completion(9, 0, cqe::NOTIF)).is_some());
        assert!(flights.armed().is_empty());
    }

    #[test]
    fn a_zero_copy_send_behind_a_broken_link_is_notified_as_well() {
        let mut flights = InFlight::default();
        for seq in [1, 3] {
            flights.submitted(seq, 0, Entry { flags: sqe::IO_LINK, ..entry(op::READ, 8) });
            flights.submitted(seq + 1, 0, entry(op::SEND_ZC, 9));
        }
        let mut answer = |res, flags| {
            flights.completed(&completion(9, res, flags)).map(|answer| answer.flight.seq)
        };
        assert_eq!(answer(-libc::ECANCELED, 0), Some(2));
        assert_eq!(answer(100, cqe::MORE), Some(4));
        // This one said that it would come, and is expected.
        assert_eq!(answer(0, cqe::NOTIF), Some(4));
        assert_eq!(answer(0, cqe::NOTIF), Some(2));
        assert_eq!(answer(0, cqe::NOTIF), None);
    }

    #[test]
    fn a_silent_entry_that_ends_at_once_does_not_fail_much_later() {
        let silent =
            |opcode, flags| Entry { flags: sqe::CQE_SKIP_SUCCESS | flags, ..entry(opcode, 7) };
        let who_failed = |opcode, flags, error: i32| {
            let mut flights = InFlight::default();
            for us in [10, 20] {
                flights.submitted(us, us, silent(opcode, flags));
                flights.submitted(us + 1, us, silent(opcode, flags));
            }
            flights.completed(&completion(7, -error, 0)).expect("an answer").flight.seq
        };
        assert_eq!(who_failed(op::ASYNC_CANCEL, 0, libc::ENOENT), 20);
        assert_eq!(who_failed(op::CLOSE, 0, libc::EBADF), 20);
        // These may have waited since.
        assert_eq!(who_failed(op::RECV, 0, libc::ECONNRESET), 10);
        assert_eq!(who_failed(op::CLOSE, sqe::IO_DRAIN, libc::EBADF), 10);
        assert_eq!(who_failed(op::CLOSE, sqe::IO_LINK, libc::EBADF), 10);
    }

    #[test]
    fn what_may_have_been_answered_unseen_is_neither_armed_nor_kept_for_ever() {
        let mut flights = InFlight::default();
        flights.submitted(1, 0, Entry { ioprio: 1, ..entry(op::ACCEPT, 5) });
        flights.submitted(2, 0, entry(op::READ, 6));
        flights.lost_sight();
        assert!(flights.armed().is_empty() && flights.any_unknown());
        // An answer says that it is still there.
        assert!(flights.completed(&completion(5, 0, cqe::MORE)).is_some());
        assert_eq!(flights.armed().iter().map(|it| it.seq).collect::<Vec<_>>(), [1]);
        // The value is used again: the READ was answered.
        flights.submitted(3, 0, entry(op::READ, 6));
        assert_eq!(flights.completed(&completion(6, 7, 0)).expect("an answer").flight.seq, 3);
        for seq in 4..10_000 {
            flights.submitted(seq, 0, entry(op::NOP, seq));
            flights.lost_sight();
        }
        let kept = flights.by_user_data.len();
        assert!(kept <= UNSURE + 1, "{kept} are kept");
        assert!(flights.completed(&completion(5, 0, 0)).is_some(), "the multishot is kept");
    }

    #[test]
    fn a_silent_entry_waits_until_an_answer_says_that_it_is_done() {
        let silent = |opcode, user_data, link: u8| Entry {
            flags: sqe::CQE_SKIP_SUCCESS | link,
            ..entry(opcode, user_data)
        };
        let waiting = |flights: &InFlight| -> Vec<u64> {
            flights.may_wait().iter().map(|flight| flight.seq).collect()
        };
        let mut flights = InFlight::default();
        // Two chains: a silent receive and a silent send, and a close that answers.
        for first in [1, 4] {
            flights.submitted(first, 0, silent(op::RECV, first, sqe::IO_LINK));
            flights.submitted(first + 1, 0, silent(op::SEND, first, sqe::IO_LINK));
            flights.submitted(first + 2, 0, entry(op::CLOSE, first));
        }
        flights.submitted(7, 0, silent(op::RECV, 70, 0));
        assert_eq!(waiting(&flights), [1, 2, 4, 5, 7]);
        assert!(flights.completed(&completion(1, 0, 0)).is_some());
        assert_eq!(waiting(&flights), [4, 5, 7], "the first chain is done");
        assert!(flights.completed(&completion(4, -libc::ECONNRESET, 0)).is_some());
        assert_eq!(waiting(&flights), [7], "of a chain that failed, the rest is cancelled");
        flights.submitted(8, 0, Entry { addr: 70, ..entry(op::ASYNC_CANCEL, 80) });
        assert!(flights.completed(&completion(80, 0, 0)).is_some());
        assert!(waiting(&flights).is_empty());
    }

    #[test]
    fn a_silent_entry_is_found_when_it_fails_and_not_listed_as_armed() {
        let mut flights = InFlight::default();
        let silent = Entry { flags: sqe::CQE_SKIP_SUCCESS, ..entry(op::CLOSE, 3) };
        flights.submitted(1, 0, silent);
        assert!(flights.armed().is_empty());
        assert!(flights.completed(&completion(3, -libc::EBADF, 0)).is_some());
    }
}
