//! An entry that is under way, as the rules see it.

use std::ops::Range;

use libc::pid_t;

use crate::codes::{op, sqe};
use crate::context::Reader;
use crate::decode::Entry;
use crate::names::operation;
use crate::ring_descriptors::RingId;

/// A descriptor of a process, or a slot of a ring.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Handle {
    Fd(pid_t, i32),
    Slot(RingId, u32),
}

impl std::fmt::Display for Handle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Handle::Fd(_, fd) => write!(f, "fd {fd}"),
            Handle::Slot(_, slot) => write!(f, "slot {slot}"),
        }
    }
}

/// An entry that the kernel took.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Its number.
    pub seq: u64,
    /// When it went in.
    pub us: u64,
    /// The thread that submitted it; 0 if a kernel thread took it.
    pub tid: pid_t,
    /// The process whose memory it names.
    pub owner: pid_t,
    /// Its ring.
    pub ring: RingId,
    /// As it went in.
    pub entry: Entry,
    /// The enter that took it; 0 if a kernel thread did.
    pub enter: u64,
    /// The entry that it is linked behind.
    pub behind: Option<u64>,
    /// Completions that answered it so far.
    pub answers: u32,
    /// The entry that was in the same place of the queue before it.
    pub before: Option<(u64, Entry)>,
}

impl Request {
    /// `entry 3 (READ, fd 5)`.
    pub fn name(&self) -> String {
        let entry = &self.entry;
        let operation = operation(entry.opcode);
        let about = match entry.opcode {
            op::OPENAT | op::OPENAT2 | op::STATX | op::UNLINKAT | op::MKDIRAT => {
                let path = Reader::of(self.owner).string(entry.addr).filter(|path| {
                    path.len() < 60 && !path.is_empty() && !path.contains(char::is_control)
                });
                path.map_or_else(String::new, |path| format!(", \"{path}\""))
            }
            _ => match (self.fd(), self.slot()) {
                (Some(fd), _) => format!(", fd {fd}"),
                (None, Some(slot)) => format!(", slot {slot}"),
                (None, None) => String::new(),
            },
        };
        format!("entry {} ({operation}{about})", self.seq)
    }

    /// Where the entry's buffer is in the program's memory, for operations that have one, such as RECV.
    pub fn buffer(&self) -> Option<Range<u64>> {
        let entry = &self.entry;
        let plain = matches!(
            entry.opcode,
            op::READ
                | op::WRITE
                | op::READ_FIXED
                | op::WRITE_FIXED
                | op::SEND
                | op::RECV
                | op::SEND_ZC
        );
        let own = plain && !entry.has(sqe::BUFFER_SELECT) && !entry.vectorized();
        (own && entry.len > 0 && entry.addr > 0)
            .then(|| entry.addr..entry.addr.saturating_add(entry.len.into()))
    }

    /// The descriptor that it is about, if it names one.
    pub fn fd(&self) -> Option<i32> {
        let entry = &self.entry;
        let other = [
            op::NOP,
            op::TIMEOUT,
            op::LINK_TIMEOUT,
            op::ASYNC_CANCEL,
            op::PROVIDE_BUFFERS,
            op::REMOVE_BUFFERS,
            op::POLL_REMOVE,
            op::TIMEOUT_REMOVE,
            op::SOCKET,
            op::WAITID,
            op::FUTEX_WAIT,
            op::FUTEX_WAKE,
            op::FUTEX_WAITV,
            op::MADVISE,
            op::PIPE,
        ];
        (self.slot().is_none() && entry.fd >= 0 && !other.contains(&entry.opcode))
            .then_some(entry.fd)
    }

    /// The slot that it is about, if it names one.
    pub fn slot(&self) -> Option<u32> {
        let entry = &self.entry;
        match (entry.opcode, entry.file_index) {
            // A close names it as those entries do that fill a slot.
            (op::CLOSE, 1..) => Some(entry.file_index - 1),
            _ => entry.has(sqe::FIXED_FILE).then_some(entry.fd as u32),
        }
    }

    /// Whether it is a zero-copy send that was answered, and whose memory is not free yet.
    pub fn awaits_notification(&self) -> bool {
        self.entry.zero_copy() && self.answers > 0
    }

    /// The descriptor or slot that it is about, if it names one.
    pub fn handle(&self) -> Option<Handle> {
        let slot = self.slot().map(|slot| Handle::Slot(self.ring, slot));
        slot.or_else(|| self.fd().map(|fd| Handle::Fd(self.owner, fd)))
    }

    /// What it closes, if it is a close.
    pub fn closes(&self) -> Option<Handle> {
        self.handle().filter(|_| self.entry.opcode == op::CLOSE)
    }

    /// Whether both are about the same file, or about none.
    pub fn same_file(&self, other: &Request) -> bool {
        self.handle() == other.handle()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_names_its_slot_or_its_descriptor() {
        let about = |fd, file_index| {
            let entry = Entry { opcode: op::CLOSE, fd, file_index, ..Default::default() };
            let close = Request {
                seq: 3,
                us: 0,
                tid: 0,
                owner: 0,
                ring: 1,
                entry,
                enter: 1,
                behind: None,
                answers: 0,
                before: None,
            };
            (close.name(), close.fd(), close.slot())
        };
        assert_eq!(about(0, 1), ("entry 3 (CLOSE, slot 0)".to_string(), None, Some(0)));
        assert_eq!(about(5, 0), ("entry 3 (CLOSE, fd 5)".to_string(), Some(5), None));
    }
}
