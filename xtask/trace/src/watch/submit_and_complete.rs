//! Reports what a look has found: entries and completions, counted and in words.

use common::catalog;
use common::token::{Op, Token};
use libc::pid_t;

use super::where_it_ran::Fresh;
use super::{Moment, Watch};
use crate::codes::{cqe, op, sqe};
use crate::context::Reader;
use crate::decode::{Completion, Direct, Entry};
use crate::describe::results::result;
use crate::describe::{Details, details};
use crate::diagnosis::{Fact, Request};
use crate::event::{self, What};
use crate::names::{error_name, hex, names, operation, user_data};
use crate::pairing::{Answer, Flight};
use crate::ran::{Known, Ran};
use crate::ring::{Posted, Sight, Taken};
use crate::ring_descriptors::RingId;
use crate::summary::{Armed, UNPAIRED};
use crate::times::{Slow, is_slow, keep};

/// How many messages to other rings are remembered.
const MESSAGES: usize = 1024;

/// A message that an entry sent to another ring (`IORING_OP_MSG_RING`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    user_data: u64,
    seq: u64,
}

impl Watch {
    /// Reports what a look at `tid` found at the moment `now`.
    pub(super) fn tell_sight(&mut self, now: Moment, tid: pid_t, ring: RingId, sight: Sight) {
        self.moved = true;
        let by = sight.submitted.iter().find_map(|taken| taken.offer.map(|offer| offer.tid));
        let mut entries = Vec::new();
        for taken in sight.submitted {
            let user_data = taken.entry.user_data;
            self.tell_entry(now, tid, ring, taken);
            entries.push((self.last_seq, user_data));
        }
        let answers: Vec<Option<Answer>> =
            sight.completed.iter().map(|posted| self.answer(ring, &posted.completion)).collect();
        let fresh =
            Fresh { entries: &entries, by, completions: &sight.completed, answers: &answers };
        let concluded = self.settle(now, ring, &fresh);
        for ((posted, answer), concluded) in sight.completed.iter().zip(answers).zip(concluded) {
            self.tell_completion(now, tid, ring, posted, answer, concluded);
        }
        let (entries, completions) = (sight.unseen_entries, sight.unseen_completions);
        let dropped = sight.dropped;
        if entries + completions > 0 {
            self.doctor.blurred(ring);
        }
        if dropped > 0 {
            self.diagnose(tid, ring, &Fact::Dropped(dropped));
        }
        if let Some(followed) = self.rings.get_mut(&ring) {
            followed.in_flight.missed(entries);
            if completions > 0 {
                followed.in_flight.lost_sight();
            }
        }
        self.summary.unseen_entries += entries;
        self.summary.unseen_completions += completions;
        self.summary.dropped += dropped;
        if entries + completions + dropped > 0 {
            let unseen = event::Unseen { ring, entries, completions, dropped };
            self.tell_at(now, tid, What::Unseen(unseen));
        }
    }

    fn tell_entry(&mut self, now: Moment, tid: pid_t, ring: RingId, taken: Taken) {
        const UPDATE_USER_DATA: u32 = 1 << 2;
        let Taken { entry, offer, pointed, place } = taken;
        let (tid, since) = offer.map_or((tid, now.us), |offer| (offer.tid, offer.us));
        let at = offer.map_or(now, |offer| self.moment_of(offer, now));
        self.last_seq += 1;
        let seq = self.last_seq;
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        followed.in_flight.submitted(seq, since, entry);
        let request = Request {
            seq,
            us: since,
            tid: offer.map_or(0, |offer| offer.tid),
            owner: followed.owner,
            ring,
            entry,
            enter: offer
                .and_then(|offer| self.inside.get(&offer.tid))
                .map_or(0, |it| it.event.enter),
            behind: None,
            answers: 0,
            before: None,
        };
        self.doctor.submitted(request, place);
        let reader = Reader::of(whose(tid, followed.owner));
        followed.registered.submitted(reader, &entry);
        let in_slot = followed.registered.file_of(&entry);
        if entry.opcode == op::POLL_REMOVE && entry.len & UPDATE_USER_DATA != 0 {
            followed.in_flight.renamed(entry.addr, entry.off);
        }
        if entry.opcode == op::MSG_RING {
            if self.messages.len() == MESSAGES {
                self.messages.pop_front();
            }
            self.messages.push_back(Message { user_data: entry.off, seq });
        }
        let op = operation(entry.opcode);
        match self.summary.entries.get_mut(&op) {
            Some(count) => *count += 1,
            None => {
                self.summary.entries.insert(op.clone(), 1);
            }
        }
        if self.nobody_listens() {
            return;
        }
        let mut details = pointed.unwrap_or_else(|| self.blindly(&entry));
        // A polling thread took it before the tracer could read it.
        if details.file.is_none() && (entry.gives() || entry.takes()) {
            details.file = reader.descriptor(entry.fd).filter(|_| !entry.has(sqe::FIXED_FILE));
        }
        let words = details.words();
        if let Some(followed) = self.rings.get_mut(&ring) {
            if let Some(flight) = followed.in_flight.find(seq, entry.user_data) {
                flight.words = Some(words.as_str().into());
            }
        }
        let submit = event::Submit {
            ring,
            seq,
            op,
            opcode: entry.opcode,
            flags: names(&catalog::ENTRY_FLAGS, u32::from(entry.flags)),
            user_data: hex(entry.user_data),
            meaning: self.meaning(entry.user_data, Some(entry.opcode)),
            words,
            file: in_slot.or(details.file.clone()),
            addr: entry.addr,
            details: details.object(),
        };
        self.tell_at(at, tid, What::Submit(submit));
    }

    /// The entry that a completion answers.
    fn answer(&mut self, ring: RingId, completion: &Completion) -> Option<Answer> {
        self.rings.get_mut(&ring)?.in_flight.completed(completion)
    }

    fn tell_completion(
        &mut self,
        now: Moment,
        tid: pid_t,
        ring: RingId,
        posted: &Posted,
        answer: Option<Answer>,
        concluded: Option<Ran>,
    ) {
        let completion = &posted.completion;
        let exact = self.exactly(ring, answer.as_ref(), completion, concluded);
        let ran = exact.or(concluded);
        let mistaken = concluded.map(|ran| ran.place).filter(|told| {
            exact.is_some_and(|ran| ran.known == Known::Exact && ran.place != *told)
        });
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        let owner = followed.owner;
        let inside = self.inside.values().find(|inside| inside.ring == Some(ring));
        self.doctor.completed(
            now.us,
            tid,
            (ring, owner),
            (answer.as_ref().map(|answer| answer.flight.seq), completion),
            inside.map(|inside| inside.event.enter),
        );
        let op = answer.as_ref().map(|answer| operation(answer.flight.entry.opcode));
        let name = op.as_deref().unwrap_or(UNPAIRED);
        if !self.summary.completions.contains_key(name) {
            self.summary.completions.insert(name.to_string(), Default::default());
        }
        if let Some(counts) = self.summary.completions.get_mut(name) {
            counts.count += 1;
            counts.errors += u64::from(completion.error().is_some());
            counts.more += u64::from(completion.has(cqe::MORE));
            counts.ran.add(ran);
            counts.ran.mistaken += u64::from(mistaken.is_some());
        }
        if let Some(answer) = &answer {
            self.count_time(now, ring, posted, &answer.flight, ran);
        }
        let asked = answer.as_ref().map(|answer| answer.flight.entry);
        if let Some(entry) = asked.filter(|entry| entry.direct() == Direct::Any) {
            if let (Some(followed), 0..) = (self.rings.get_mut(&ring), completion.res) {
                followed.registered.filled_by(&entry, completion.res as u32);
            }
        }
        if self.nobody_listens() {
            return;
        }
        let program = Reader::of(whose(tid, owner));
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        let filled = match (asked, completion.buffer()) {
            (Some(entry), Some(id)) => {
                let (bytes, more) = (completion.res.max(0) as u32, completion.has(cqe::BUF_MORE));
                followed.registered.filled(program, &entry, id, bytes, more)
            }
            _ => Vec::new(),
        };
        let (mut words, mut details) = result(asked.as_ref(), completion, program, &filled);
        // The bytes that it brought may be gone already.
        if followed.ring.reaped(posted) {
            (words, details) = result(asked.as_ref(), completion, Reader::blind(), &filled);
        }
        if asked.is_none() {
            words += &self.by_message(completion);
        }
        let opcode = asked.map(|entry| entry.opcode);
        let complete = event::Complete {
            ring,
            seq: answer.as_ref().map(|answer| answer.flight.seq),
            op,
            ambiguous: answer.as_ref().is_some_and(|answer| answer.ambiguous),
            user_data: hex(completion.user_data),
            meaning: self.meaning(completion.user_data, opcode),
            res: completion.res,
            error: completion.error().map(error_name),
            words,
            details: details.object(),
            flags: names(&catalog::COMPLETION_FLAGS, completion.flags & 0xffff),
            buffer: completion.buffer(),
            more: completion.has(cqe::MORE),
            after_us: answer
                .filter(|answer| !answer.flight.before)
                .map(|answer| now.us.saturating_sub(answer.flight.us))
                .filter(|us| *us > 0),
            ran,
            mistaken,
            extra: completion.extra.map(|extra| extra.map(hex)),
        };
        self.tell_at(now, tid, What::Complete(complete));
    }

    /// Counts how long an operation took, and notes when its completion was seen.
    fn count_time(
        &mut self,
        now: Moment,
        ring: RingId,
        posted: &Posted,
        flight: &Flight,
        ran: Option<Ran>,
    ) {
        let entry = &flight.entry;
        if let Some(followed) = self.rings.get_mut(&ring) {
            followed.unreaped.push_back((*posted, entry.opcode, now.us));
        }
        let us = now.us.saturating_sub(flight.us);
        // In a polled ring, both may have been noticed in one look.
        let unknown = us == 0 || flight.before;
        if unknown || entry.multishot() || posted.completion.has(cqe::NOTIF) {
            return;
        }
        let op = operation(entry.opcode);
        let is_timeout = matches!(entry.opcode, op::TIMEOUT | op::LINK_TIMEOUT);
        if !is_timeout && is_slow(&self.summary.slowest, us) {
            let (seq, op) = (flight.seq, op.clone());
            let meaning = self.meaning(entry.user_data, Some(entry.opcode));
            keep(&mut self.summary.slowest, Slow { us, ring, seq, op, meaning, ran });
        }
        self.summary.times.entry(op).or_default().completing.add(us);
    }

    /// The entry in another ring that sent this completion, if one did.
    fn by_message(&mut self, completion: &Completion) -> String {
        let sent = |message: &Message| message.user_data == completion.user_data;
        match self.messages.iter().position(sent).and_then(|at| self.messages.remove(at)) {
            Some(message) => format!(", a message by entry {}", message.seq),
            None => String::new(),
        }
    }

    pub(super) fn meaning(&self, value: u64, opcode: Option<u8>) -> String {
        meaning(self.tokens, value, opcode)
    }

    /// What an entry asks for, without what it points at.
    pub(super) fn blindly(&self, entry: &Entry) -> Details {
        details(entry, Reader::blind(), &|value| self.meaning(value, None))
    }

    pub(super) fn armed(&self, ring: RingId, flight: &Flight) -> Armed {
        let entry = &flight.entry;
        Armed {
            ring,
            seq: flight.seq,
            op: operation(entry.opcode),
            words: match &flight.words {
                Some(words) => words.to_string(),
                None => self.blindly(entry).words(),
            },
            meaning: self.meaning(entry.user_data, Some(entry.opcode)),
            multishot: entry.multishot(),
            linked: entry.linked(),
        }
    }
}

/// `user_data` by its meaning. A foreign program's may look like a token by chance, so the
/// operation has to agree.
fn meaning(tokens: bool, value: u64, opcode: Option<u8>) -> String {
    let token = Token::unpack(value)
        .filter(|token| tokens && opcode.is_none_or(|opcode| agrees(token.op, opcode)));
    token.map_or_else(|| user_data(value), |token| token.to_string())
}

/// Says what entries ask for, with what they point at in the memory of `pid`, unless the words are
/// not needed (`quiet`). An entry of a chain may send what the entry before it will receive: those
/// bytes are not there yet.
pub(super) fn follow(
    quiet: bool,
    tokens: bool,
    pid: pid_t,
) -> impl Fn(&Entry, bool) -> Option<Details> {
    move |entry, chained| {
        if quiet {
            return None;
        }
        let details = details(entry, Reader::of(pid), &|value| meaning(tokens, value, None));
        Some(if chained { details.without("data") } else { details })
    }
}

/// The process whose memory an address belongs to: the caller's, if a call was looked at, otherwise
/// the process that made the ring.
pub(super) fn whose(tid: pid_t, owner: pid_t) -> pid_t {
    if tid == 0 { owner } else { tid }
}

/// Whether this entry can carry a token with that operation.
fn agrees(token: Op, opcode: u8) -> bool {
    match token {
        Op::Accept => opcode == op::ACCEPT,
        Op::Recv | Op::RecvMulti | Op::Discard => {
            matches!(opcode, op::RECV | op::RECVMSG | op::READ)
        }
        Op::Send => matches!(opcode, op::SEND | op::SEND_ZC | op::WRITE),
        Op::Shutdown => opcode == op::SHUTDOWN,
        Op::Close => opcode == op::CLOSE,
        Op::Cancel => opcode == op::ASYNC_CANCEL,
        Op::Signal => matches!(opcode, op::READ | op::READ_MULTISHOT | op::POLL_ADD),
    }
}
