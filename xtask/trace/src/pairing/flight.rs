//! An entry that may still be answered, and whether it could have got an answer, by its operation
//! and the result.

use std::sync::Arc;

use crate::codes::{cqe, op, sqe};
use crate::decode::{Completion, Entry};
use crate::ran::Ran;

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
    /// Completions went by unseen since, or it was silent and has ended: this may have been
    /// answered.
    pub unsure: bool,
    /// What it waits for, once that was looked up.
    pub ran: Option<Ran>,
    /// It went in before the trace began, at an unknown time.
    pub before: bool,
}

/// `IORING_ASYNC_CANCEL_ALL` and `IORING_ASYNC_CANCEL_ANY`: the result is a count.
const CANCEL_MANY: u32 = 0b101;

impl Flight {
    /// Whether the entry could have got this answer.
    pub(super) fn could_get(&self, completion: &Completion) -> bool {
        let entry = &self.entry;
        if completion.has(cqe::NOTIF) {
            return entry.zero_copy() && self.answers > 0;
        }
        if entry.zero_copy() && self.answers > 0 {
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
            value => may_fail(self, -i64::from(value)),
        }
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
