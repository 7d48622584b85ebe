//! One traced ring: what has crossed it since the last look.
//!
//! Heads and tails only grow, so the totals are exact whatever happens between two looks.
//! Contents are exact until they are overwritten. A program without a polling thread submits by
//! `io_uring_enter`, where the tracer stops it and reads first, so nothing is missed. Otherwise
//! what could not be read is counted as unseen.

mod joined;
mod layout;
mod look;
mod now;
mod seen;

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::Instant;

use libc::pid_t;

use super::codes::{op, setup};
use super::decode::{Completion, Entry};
use super::memory::{Memory, Part};
use super::params::Params;

pub use layout::{FdInfo, LARGE, looks_large};
pub use now::RingNow;
use seen::Offered;
pub use seen::{Follow, Offer, Posted, Queues, Sight, Taken};

/// A ring that is being traced. Dropping it lets go of the program's ring.
#[derive(Debug)]
pub struct Ring {
    /// As granted, or as of the last resize.
    pub params: Params,
    memory: Memory,
    /// Held for a resize, which needs the ring mapped again.
    fd: Option<OwnedFd>,
    /// Its `fdinfo`, which is read often.
    info: Option<File>,
    sq_seen: u32,
    cq_seen: u32,
    /// When the queues were last read.
    seen: Instant,
    offered: HashMap<u32, Offered>,
    /// It was in use before the tracer came.
    joined: bool,
    /// How often to ask the kernel again for the sizes that were concluded.
    doubts: u32,
}

impl Ring {
    /// Takes a ring over by its descriptor.
    ///
    /// # Errors
    /// The kernel's, from mapping it.
    pub fn mapped(fd: OwnedFd, params: Params) -> nix::Result<Ring> {
        let memory = Memory::map(fd.as_fd(), &params)?;
        Ok(Ring::new(params, memory, Some(fd)))
    }

    /// Watches a ring in its owner's own memory (`IORING_SETUP_NO_MMAP`).
    pub fn remote(owner: pid_t, params: Params) -> Ring {
        let memory = Memory::remote(owner, &params);
        Ring::new(params, memory, None)
    }

    fn new(params: Params, memory: Memory, fd: Option<OwnedFd>) -> Ring {
        let info = fd.as_ref().map(|fd| format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
        let info = info.and_then(|path| File::open(path).ok());
        let (offered, seen) = (HashMap::new(), Instant::now());
        let (joined, doubts) = (false, 0);
        Ring { params, memory, fd, info, sq_seen: 0, cq_seen: 0, seen, offered, joined, doubts }
    }

    /// Follows a resize (`IORING_REGISTER_RESIZE_RINGS`); heads and tails go on as they were.
    ///
    /// # Errors
    /// The kernel's, from mapping it again.
    pub fn resized(&mut self, params: Params) -> nix::Result<()> {
        self.memory = match (&self.fd, &self.memory) {
            (Some(fd), _) => Memory::map(fd.as_fd(), &params)?,
            (None, Memory::Remote { owner, .. }) => Memory::remote(*owner, &params),
            (None, Memory::Mapped { .. }) => return Err(nix::errno::Errno::EBADF),
        };
        self.params = params;
        Ok(())
    }

    /// What the kernel tells of the ring (`/proc/self/fdinfo`); `None` without a descriptor of
    /// our own.
    pub fn info(&self) -> Option<String> {
        let mut text = Vec::new();
        let mut bytes = [0; 1 << 13];
        loop {
            let count = self.info.as_ref()?.read_at(&mut bytes, text.len() as u64).ok()?;
            text.extend_from_slice(&bytes[..count]);
            if count < bytes.len() {
                return String::from_utf8(text).ok();
            }
        }
    }

    /// Whether a kernel thread takes the entries, without an enter to be stopped at.
    pub fn polled(&self) -> bool {
        self.params.has(setup::SQPOLL)
    }

    /// Copies the entries that an enter offers, and what they point at, before the kernel
    /// takes them: as many as its `to_submit` says.
    pub fn offer(&mut self, to_submit: u32, by: Offer, follow: Follow<'_>) {
        self.settle();
        if self.params.has(setup::SQ_REWIND) {
            self.offered.clear();
            self.offer_range(0, self.params.sq_entries, to_submit, Some(by), follow);
        } else if self.polled() {
            self.offer_to_poller(follow);
        } else if let Some((head, waiting)) = self.waiting() {
            self.offer_range(head, waiting, to_submit, Some(by), follow);
        }
    }

    /// A task continues into its enter: what it offers is under way from this moment on.
    pub fn goes_on(&mut self, offer: Offer) {
        for by in self.offered.values_mut().filter_map(|offered| offered.by.as_mut()) {
            if by.tid == offer.tid {
                *by = offer;
            }
        }
    }

    /// As [`Ring::offer`], for a polling thread, which takes all that it finds when it likes.
    fn offer_to_poller(&mut self, follow: Follow<'_>) {
        let Some((head, waiting)) = self.waiting() else { return };
        let offered = self.offer_range(head, waiting, u32::MAX, None, follow);
        // The memory that an entry points at belongs to the program again when the thread has taken
        // or answered the entry. The bytes that were read may then be anything.
        let answered = self.answered();
        let now = self.memory.word(Part::Sq, self.params.sq().head);
        for at in offered {
            let Some(Offered { entry: Some(entry), pointed, .. }) = self.offered.get_mut(&at)
            else {
                continue;
            };
            let waits = now.is_some_and(|head| at.wrapping_sub(head) as i32 >= 0);
            let open = answered.as_ref().is_some_and(|it| !it.contains(&entry.user_data));
            if !waits || !open {
                *pointed = None;
            }
        }
    }

    /// The `user_data` of the completions that were not looked at yet; `None` if some of them
    /// have gone by.
    fn answered(&self) -> Option<HashSet<u64>> {
        let tail = self.memory.word(Part::Cq, self.params.cq().tail)?;
        let count = tail.wrapping_sub(self.cq_seen);
        if count > self.params.cq_entries {
            return None;
        }
        let at = |index| self.completion_at(self.cq_seen.wrapping_add(index));
        (0..count).map(|index| Some(at(index)?.0.user_data)).collect()
    }

    /// Where the entries begin that wait to be taken, and how many there are. A program may
    /// write anything into its tail; the kernel takes no more than the queue holds.
    fn waiting(&self) -> Option<(u32, u32)> {
        let (head, tail) = self.sq_ends()?;
        Some((head, tail.wrapping_sub(head).min(self.params.sq_entries)))
    }

    /// Copies up to `most` of the entries in `count` places. An entry that was offered before and
    /// was not taken yet keeps its first offer. Returns the places of the others.
    fn offer_range(
        &mut self,
        start: u32,
        count: u32,
        most: u32,
        by: Option<Offer>,
        follow: Follow<'_>,
    ) -> Vec<u32> {
        let mut new = Vec::new();
        let (mut done, mut offered, mut chained) = (0, 0, false);
        while done < count && offered < most {
            let at = start.wrapping_add(done);
            if !self.offered.contains_key(&at) {
                let left = (count - done).min(most - offered);
                let Some(mut place) = self.entry_at(at, left) else { break };
                place.by = by;
                place.pointed = place.entry.and_then(|entry| follow(&entry, chained));
                offered += place.places;
                self.offered.insert(at, place);
                new.push(at);
            }
            let place = &self.offered[&at];
            done += place.places;
            chained = place.entry.is_some_and(|entry| entry.linked());
        }
        new
    }

    /// What a rewound ring's enter took. It moves no head; only its result shows the number.
    pub fn rewound(&mut self, taken: u32) -> Vec<Taken> {
        let mut entries = Vec::new();
        for at in 0..taken.min(self.params.sq_entries) {
            entries.extend(self.offered.remove(&at).and_then(Offered::taken));
        }
        entries
    }

    /// A task's enter is over: what it left in the queue is offered again by the next.
    pub fn withdraw(&mut self, tid: pid_t) {
        self.offered.retain(|_, offered| offered.by.is_none_or(|by| by.tid != tid));
    }

    /// Whether the program has taken a completion out of the queue, and so may have reused the
    /// memory that it filled.
    pub fn reaped(&self, posted: &Posted) -> bool {
        let head = self.memory.word(Part::Cq, self.params.cq().head);
        head.is_none_or(|head| posted.before(head))
    }

    /// Where the first completion is that the program has not taken.
    pub fn reaped_up_to(&self) -> Option<u32> {
        self.memory.word(Part::Cq, self.params.cq().head)
    }

    /// One past the last completion; `None` if the program garbled its ring: the kernel posts no
    /// more than the queue holds, or than time allows.
    fn cq_tail(&self) -> Option<u32> {
        // The program's end first: it can only come closer to the kernel's meanwhile.
        let head = self.memory.word(Part::Cq, self.params.cq().head)?;
        let tail = self.memory.word(Part::Cq, self.params.cq().tail)?;
        let entries = self.params.cq_entries;
        let behind = tail.wrapping_sub(self.cq_seen);
        let fits = tail.wrapping_sub(head) <= entries || self.polled();
        (behind <= entries || (fits && behind - entries <= self.most())).then_some(tail)
    }

    fn sq_ends(&self) -> Option<(u32, u32)> {
        let head = self.memory.word(Part::Sq, self.params.sq().head)?;
        let tail = self.memory.word(Part::Sq, self.params.sq().tail)?;
        Some((head, tail))
    }

    /// The entry at a place; `left` says how many places can be its own.
    fn entry_at(&self, at: u32, left: u32) -> Option<Offered> {
        let mask = self.params.sq_entries.checked_sub(1)?;
        let mut index = at & mask;
        if !self.params.has(setup::NO_SQARRAY) {
            index = self.memory.word(Part::Sq, self.params.sq().array.checked_add(index * 4)?)?;
            if index > mask {
                return Some(Offered { entry: None, places: 1, by: None, pointed: None, index });
            }
        }
        let mut bytes = [0; Entry::SIZE];
        self.memory.read(Part::Sqes, index as usize * self.params.sqe_size(), &mut bytes)?;
        let entry = Entry::parse(&bytes);
        let large = self.params.has(setup::SQE_MIXED)
            && matches!(entry.opcode, op::NOP128 | op::URING_CMD128)
            && left >= 2
            && index < mask;
        let places = if large { 2 } else { 1 };
        Some(Offered { entry: Some(entry), places, by: None, pointed: None, index })
    }

    fn completion_at(&self, at: u32) -> Option<(Completion, u32)> {
        let mask = self.params.cq_entries.checked_sub(1)?;
        let size = self.params.cqe_size();
        let offset = self.params.cq().cqes as usize + (at & mask) as usize * size;
        let mut bytes = [0; 16];
        self.memory.read(Part::Cq, offset, &mut bytes)?;
        let completion = Completion::parse(&bytes, None);
        let mixed = self.params.has(setup::CQE_MIXED) && completion.has(LARGE);
        let mut extra = [0; 16];
        let extra = if size == 32 || mixed {
            self.memory.read(Part::Cq, offset + 16, &mut extra).map(|()| &extra)
        } else {
            None
        };
        Some((Completion::parse(&bytes, extra), if mixed { 2 } else { 1 }))
    }

    /// Whether the polling thread sleeps, and how many entries wait for it meanwhile; `None`
    /// without such a thread.
    pub fn poller(&self) -> Option<(bool, u32)> {
        const NEED_WAKEUP: u32 = 1 << 0;
        if !self.polled() {
            return None;
        }
        let flags = self.memory.word(Part::Sq, self.params.sq().flags)?;
        let asleep = flags & NEED_WAKEUP != 0;
        Some((asleep, if asleep { self.waiting_entries() } else { 0 }))
    }

    /// The first entries that the program published and the kernel has not taken.
    pub fn published(&self) -> Vec<Entry> {
        const MOST: u32 = 4;
        let Some((head, count)) = self.waiting() else { return Vec::new() };
        let at = |nth| self.entry_at(head.wrapping_add(nth), 1)?.entry;
        (0..count.min(MOST)).filter_map(at).collect()
    }

    /// Both queues as they are at this moment.
    pub fn queues(&self) -> Queues {
        const CQ_OVERFLOW: u32 = 1 << 1;
        const TASKRUN: u32 = 1 << 2;
        let word = |part, at| self.memory.word(part, at).unwrap_or(0);
        let (sq, cq) = (self.params.sq(), self.params.cq());
        let flags = word(Part::Sq, sq.flags);
        Queues {
            sq_head: word(Part::Sq, sq.head),
            sq_tail: word(Part::Sq, sq.tail),
            cq_head: word(Part::Cq, cq.head),
            cq_tail: word(Part::Cq, cq.tail),
            overflow: flags & CQ_OVERFLOW != 0,
            taskrun: flags & TASKRUN != 0,
        }
    }

    /// Entries that the program published and the kernel has not taken.
    pub fn waiting_entries(&self) -> u32 {
        self.sq_ends().map_or(0, |(head, tail)| tail.wrapping_sub(head).min(self.params.sq_entries))
    }

    /// Completions that the kernel posted and the program has not reaped.
    pub fn unreaped(&self) -> u32 {
        let head = self.memory.word(Part::Cq, self.params.cq().head);
        let tail = self.memory.word(Part::Cq, self.params.cq().tail);
        match (head, tail) {
            (Some(head), Some(tail)) => tail.wrapping_sub(head).min(self.params.cq_entries),
            _ => 0,
        }
    }

    /// Completions that a kernel without `IORING_FEAT_NODROP` threw away.
    pub fn lost(&self) -> u32 {
        self.memory.word(Part::Cq, self.params.cq().overflow).unwrap_or(0)
    }
}
