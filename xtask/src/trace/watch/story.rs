//! Telling what a look has seen: entries and completions, counted and in words.

use common::catalog;
use common::token::{Op, Token};
use libc::pid_t;

use super::{Moment, Watch};
use crate::trace::context;
use crate::trace::decode::{Entry, cqe, op};
use crate::trace::describe::{Detail, details, result};
use crate::trace::descriptors::RingId;
use crate::trace::event::{self, What};
use crate::trace::names::{error_name, hex, names, operation, user_data};
use crate::trace::pairing::{Answer, Flight};
use crate::trace::ring::{Posted, Sight, Taken};
use crate::trace::summary::{Armed, UNPAIRED};

/// How many messages to other rings are remembered.
const MESSAGES: usize = 1024;

/// A message that an entry sent to another ring (`IORING_OP_MSG_RING`).
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    user_data: u64,
    seq: u64,
}

impl Watch {
    /// Tells what was seen at the moment `now`, when `tid` was looked at.
    pub(super) fn tell_sight(&mut self, now: Moment, tid: pid_t, ring: RingId, sight: Sight) {
        self.moved = true;
        for taken in sight.submitted {
            self.tell_entry(now, tid, ring, taken);
        }
        for posted in &sight.completed {
            self.tell_completion(now, tid, ring, posted);
        }
        let (entries, completions) = (sight.unseen_entries, sight.unseen_completions);
        let dropped = sight.dropped;
        if completions > 0 {
            if let Some(followed) = self.rings.get_mut(&ring) {
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
        let Taken { entry, offer, pointed } = taken;
        let (tid, since) = offer.map_or((tid, now.us), |offer| (offer.tid, offer.us));
        let at = offer.map_or(now, |offer| self.moment_of(offer, now));
        self.last_seq += 1;
        let seq = self.last_seq;
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        followed.in_flight.submitted(seq, since, entry);
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
        let mut details = details(&entry, &|value| self.meaning(value, None));
        if let Some(detail) = pointed {
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
        self.tell_at(at, tid, What::Submit(submit));
    }

    fn tell_completion(&mut self, now: Moment, tid: pid_t, ring: RingId, posted: &Posted) {
        let completion = &posted.completion;
        let Some(followed) = self.rings.get_mut(&ring) else { return };
        let answer = followed.in_flight.completed(completion);
        let owner = followed.owner;
        let op = answer.map(|answer| operation(answer.flight.entry.opcode));
        let name = op.as_deref().unwrap_or(UNPAIRED);
        if !self.summary.completions.contains_key(name) {
            self.summary.completions.insert(name.to_string(), Default::default());
        }
        if let Some(counts) = self.summary.completions.get_mut(name) {
            counts.count += 1;
            counts.errors += u64::from(completion.error().is_some());
            counts.more += u64::from(completion.has(cqe::MORE));
        }
        if self.nobody_listens() {
            return;
        }
        let opcode = answer.map(|answer| answer.flight.entry.opcode);
        let complete = event::Complete {
            ring,
            seq: answer.map(|answer| answer.flight.seq),
            op,
            ambiguous: answer.is_some_and(|answer| answer.ambiguous),
            user_data: hex(completion.user_data),
            meaning: self.meaning(completion.user_data, opcode),
            res: completion.res,
            error: completion.error().map(error_name),
            words: self.result(whose(tid, owner), ring, answer, posted),
            flags: names(&catalog::COMPLETION_FLAGS, completion.flags & 0xffff),
            buffer: completion.buffer(),
            more: completion.has(cqe::MORE),
            after_us: answer.map(|answer| now.us.saturating_sub(answer.flight.us)),
            extra: completion.extra.map(|extra| extra.map(hex)),
        };
        self.tell_at(now, tid, What::Complete(complete));
    }

    /// What a completion says, with the bytes that it brought, if they are still there.
    fn result(
        &mut self,
        pid: pid_t,
        ring: RingId,
        answer: Option<Answer>,
        posted: &Posted,
    ) -> String {
        let completion = &posted.completion;
        let asked = answer.map(|answer| answer.flight.entry);
        let words = result(asked.as_ref(), completion);
        if let Some(entry) = asked {
            let reaped = || self.rings.get(&ring).is_none_or(|it| it.ring.reaped(posted));
            let data = context::of_completion(pid, &entry, completion).filter(|_| !reaped());
            return data.map_or_else(|| words.clone(), |data| format!("{words} {data}"));
        }
        let sent = |message: &Message| message.user_data == completion.user_data;
        match self.messages.iter().position(sent).and_then(|at| self.messages.remove(at)) {
            Some(message) => format!("{words}, a message by entry {}", message.seq),
            None => words,
        }
    }

    /// `user_data` by its meaning. A foreign program's may look like a token by chance, so
    /// the operation has to agree.
    fn meaning(&self, value: u64, opcode: Option<u8>) -> String {
        let token = Token::unpack(value)
            .filter(|token| self.tokens && opcode.is_none_or(|opcode| agrees(token.op, opcode)));
        token.map_or_else(|| user_data(value), |token| token.to_string())
    }

    pub(super) fn armed(&self, ring: RingId, flight: &Flight) -> Armed {
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
}

/// Reads what entries point at in the memory of `pid`, unless nobody wants to know (`quiet`).
/// What an entry of a chain sends may be what the one before it is to receive: that is not
/// there yet.
pub(super) fn follow(quiet: bool, pid: pid_t) -> impl Fn(&Entry, bool) -> Option<Detail> {
    move |entry, chained| {
        let detail = if quiet { None } else { context::of_entry(pid, entry) };
        detail.filter(|detail| !(chained && detail.key == "data"))
    }
}

/// In whose memory an address is: the caller's, where a call was looked at, or else of the
/// process that made the ring.
pub(super) fn whose(tid: pid_t, owner: pid_t) -> pid_t {
    if tid == 0 { owner } else { tid }
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
