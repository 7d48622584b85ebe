//! One traced ring: what has crossed it since the last look.
//!
//! Heads and tails only grow, so the totals are exact whatever happens between two looks.
//! Contents are exact as long as nobody has overwritten them: a program without a polling
//! thread submits by `io_uring_enter`, where it is stopped and looked at first, so there
//! nothing is missed. Otherwise what could not be read is counted as unseen.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use libc::pid_t;

use super::decode::{Completion, Entry, cqe, op};
use super::memory::{Memory, Part};
use super::params::{Params, setup};

/// What a look at a ring found.
#[derive(Debug, Default)]
pub struct Sight {
    /// Entries that the kernel took, in order.
    pub submitted: Vec<Entry>,
    /// Completions that the kernel posted, in order.
    pub completed: Vec<Completion>,
    /// Entries that the kernel took, but that were overwritten before this look.
    pub unseen_entries: u64,
    /// Completions that were reaped and overwritten before this look.
    pub unseen_completions: u64,
    /// Entries that the kernel dropped: their index in the array was out of range.
    pub dropped: u64,
    /// Completions wait in the kernel because the queue is full (`IORING_SQ_CQ_OVERFLOW`).
    pub overflow: bool,
}

impl Sight {
    /// Whether there is anything to tell.
    pub fn is_empty(&self) -> bool {
        self.submitted.is_empty()
            && self.completed.is_empty()
            && self.unseen_entries + self.unseen_completions + self.dropped == 0
    }
}

/// A place in the submission queue, as it was when the program offered it.
#[derive(Clone, Copy, Debug)]
enum Offered {
    /// An entry, and how many places it takes: two for a large one in a mixed ring.
    Entry(Entry, u32),
    /// The array's index was out of range.
    Invalid,
}

/// A ring that is being traced. Dropping it lets go of the program's ring.
#[derive(Debug)]
pub struct Ring {
    /// As granted, or as of the last resize.
    pub params: Params,
    memory: Memory,
    /// Held for a resize, which needs the ring mapped anew.
    fd: Option<OwnedFd>,
    sq_seen: u32,
    cq_seen: u32,
    offered: HashMap<u32, Offered>,
}

impl Ring {
    /// Takes a ring over by its descriptor.
    ///
    /// # Errors
    /// The kernel's, from mapping it.
    pub fn mapped(fd: OwnedFd, params: Params) -> nix::Result<Ring> {
        let memory = Memory::map(fd.as_fd(), &params)?;
        Ok(Ring { params, memory, fd: Some(fd), sq_seen: 0, cq_seen: 0, offered: HashMap::new() })
    }

    /// Watches a ring that lies in its owner's own memory (`IORING_SETUP_NO_MMAP`).
    pub fn remote(owner: pid_t, params: Params) -> Ring {
        let memory = Memory::remote(owner, &params);
        Ring { params, memory, fd: None, sq_seen: 0, cq_seen: 0, offered: HashMap::new() }
    }

    /// Follows a resize (`IORING_REGISTER_RESIZE_RINGS`); heads and tails go on as they were.
    ///
    /// # Errors
    /// The kernel's, from mapping it anew.
    pub fn resized(&mut self, params: Params) -> nix::Result<()> {
        self.memory = match (&self.fd, &self.memory) {
            (Some(fd), _) => Memory::map(fd.as_fd(), &params)?,
            (None, Memory::Remote { owner, .. }) => Memory::remote(*owner, &params),
            (None, Memory::Mapped { .. }) => return Err(nix::errno::Errno::EBADF),
        };
        self.params = params;
        Ok(())
    }

    /// Whether a kernel thread takes the entries, without an enter to be stopped at.
    pub fn polled(&self) -> bool {
        self.params.has(setup::SQPOLL)
    }

    /// Copies the entries that the program offers, before the kernel takes them: as many as
    /// the enter's `to_submit` says.
    pub fn offer(&mut self, to_submit: u32) {
        if self.params.has(setup::SQ_REWIND) {
            self.offered.clear();
            self.offer_range(0, to_submit.min(self.params.sq_entries));
            return;
        }
        let Some((head, tail)) = self.sq_ends() else { return };
        // A program may write anything into its tail; the kernel takes no more than there is,
        // and a polling thread takes all of it.
        let limit = if self.polled() { u32::MAX } else { to_submit };
        let waiting = tail.wrapping_sub(head).min(self.params.sq_entries).min(limit);
        self.offer_range(head, waiting);
    }

    fn offer_range(&mut self, head: u32, count: u32) {
        let mut done = 0;
        while done < count {
            let at = head.wrapping_add(done);
            let Some(offered) = self.entry_at(at, count - done) else { return };
            done += match offered {
                Offered::Entry(_, places) => places,
                Offered::Invalid => 1,
            };
            self.offered.insert(at, offered);
        }
    }

    /// What a rewound ring's enter took: it moves no head, only its result tells.
    pub fn rewound(&mut self, taken: u32) -> Vec<Entry> {
        let mut entries = Vec::new();
        for at in 0..taken.min(self.params.sq_entries) {
            if let Some(Offered::Entry(entry, _)) = self.offered.remove(&at) {
                entries.push(entry);
            }
        }
        entries
    }

    /// An enter is over: what it left in the queue is offered again by the next.
    pub fn withdraw(&mut self) {
        self.offered.clear();
    }

    /// Reads what the kernel took and posted since the last look.
    ///
    /// `inside` says that a task is in an enter of this ring. Then the kernel may be amid
    /// submitting: it moves the head only at the end, and completions may come before that.
    pub fn look(&mut self, inside: bool) -> Sight {
        let mut sight = Sight::default();
        // First the completions' end, then the entries, then the completions up to there: so
        // that no completion is read before the entry that it answers.
        let posted = self.cq_tail();
        if self.polled() {
            self.offer(0);
        }
        self.take_entries(&mut sight);
        let amid = inside && !self.polled() && !self.offered.is_empty();
        if let Some(tail) = posted.filter(|_| !amid) {
            self.take_completions(tail, &mut sight);
        }
        if self.polled() {
            self.take_answered(&mut sight);
        }
        sight.overflow = self.overflowing();
        sight
    }

    /// Whether completions wait in the kernel for room (`IORING_SQ_CQ_OVERFLOW`).
    fn overflowing(&self) -> bool {
        const CQ_OVERFLOW: u32 = 1 << 1;
        let flags = self.memory.word(Part::Sq, self.params.sq().flags);
        flags.is_some_and(|flags| flags & CQ_OVERFLOW != 0)
    }

    fn take_entries(&mut self, sight: &mut Sight) {
        if self.params.has(setup::SQ_REWIND) {
            return;
        }
        let Some((head, tail)) = self.sq_ends() else { return };
        let entries = self.params.sq_entries;
        let behind = head.wrapping_sub(self.sq_seen);
        if behind as i32 <= 0 {
            return;
        }
        if behind > entries {
            if !self.polled() {
                // No enter takes more than the queue holds: the program garbled its ring.
                return;
            }
            sight.unseen_entries += u64::from(behind - entries);
            self.sq_seen = head.wrapping_sub(entries);
        }
        while self.sq_seen != head {
            let at = self.sq_seen;
            let left = head.wrapping_sub(at);
            let offered = match self.offered.remove(&at) {
                Some(offered) => Some(offered),
                // Its place is still its own as long as the tail has not come round to it.
                None if tail.wrapping_sub(at) <= entries => self.entry_at(at, left),
                None => None,
            };
            self.sq_seen = at.wrapping_add(match offered {
                Some(Offered::Entry(entry, places)) => {
                    sight.submitted.push(entry);
                    places.min(left)
                }
                Some(Offered::Invalid) => {
                    sight.dropped += 1;
                    1
                }
                None => {
                    sight.unseen_entries += 1;
                    1
                }
            });
        }
        // What the kernel took can be forgotten; so can what a garbled head skipped over.
        if self.offered.len() > 2 * entries as usize {
            self.offered.clear();
        }
    }

    /// A polling thread moves the head after it has posted the first completions. What is
    /// answered was taken, wherever the head is.
    fn take_answered(&mut self, sight: &mut Sight) {
        for completion in &sight.completed {
            let answered = |offered: &Offered| match offered {
                Offered::Entry(entry, _) => entry.user_data == completion.user_data,
                Offered::Invalid => false,
            };
            if !self.offered.values().any(answered) {
                continue;
            }
            while let Some(offered) = self.offered.remove(&self.sq_seen) {
                let found = answered(&offered);
                match offered {
                    Offered::Entry(entry, places) => {
                        sight.submitted.push(entry);
                        self.sq_seen = self.sq_seen.wrapping_add(places);
                    }
                    Offered::Invalid => {
                        sight.dropped += 1;
                        self.sq_seen = self.sq_seen.wrapping_add(1);
                    }
                }
                if found {
                    break;
                }
            }
        }
    }

    fn take_completions(&mut self, tail: u32, sight: &mut Sight) {
        let entries = self.params.cq_entries;
        let behind = tail.wrapping_sub(self.cq_seen);
        if behind > entries {
            sight.unseen_completions += u64::from(behind - entries);
            self.cq_seen = tail.wrapping_sub(entries);
        }
        let mut read = Vec::new();
        while self.cq_seen != tail {
            let at = self.cq_seen;
            let Some((completion, places)) = self.completion_at(at) else { return };
            self.cq_seen = at.wrapping_add(places.min(tail.wrapping_sub(at)));
            read.push((at, completion));
        }
        // Whatever the kernel overwrote while it was being read does not count as read.
        let now = self.memory.word(Part::Cq, self.params.cq().tail).unwrap_or(tail);
        // Only a ring of mixed completions has gaps; elsewhere a message may carry the flag.
        let may_have_gaps = self.params.has(setup::CQE_MIXED);
        for (at, completion) in read {
            if now.wrapping_sub(at) > entries {
                sight.unseen_completions += 1;
            } else if !(may_have_gaps && completion.has(cqe::SKIP)) {
                sight.completed.push(completion);
            }
        }
    }

    /// One past the last completion; `None` if the program garbled its ring, for the kernel
    /// posts no more than the queue holds.
    fn cq_tail(&self) -> Option<u32> {
        // More than a billion in between two looks are none.
        const ABSURD: u32 = 1 << 30;
        // The program's end first: it can only come closer to the kernel's meanwhile.
        let head = self.memory.word(Part::Cq, self.params.cq().head)?;
        let tail = self.memory.word(Part::Cq, self.params.cq().tail)?;
        let behind = tail.wrapping_sub(self.cq_seen);
        let fits = tail.wrapping_sub(head) <= self.params.cq_entries || self.polled();
        (behind <= self.params.cq_entries || (fits && behind < ABSURD)).then_some(tail)
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
                return Some(Offered::Invalid);
            }
        }
        let mut bytes = [0; Entry::SIZE];
        self.memory.read(Part::Sqes, index as usize * self.params.sqe_size(), &mut bytes)?;
        let entry = Entry::parse(&bytes);
        let large = self.params.has(setup::SQE_MIXED)
            && matches!(entry.opcode, op::NOP128 | op::URING_CMD128)
            && left >= 2
            && index < mask;
        Some(Offered::Entry(entry, if large { 2 } else { 1 }))
    }

    fn completion_at(&self, at: u32) -> Option<(Completion, u32)> {
        let mask = self.params.cq_entries.checked_sub(1)?;
        let size = self.params.cqe_size();
        let offset = self.params.cq().cqes as usize + (at & mask) as usize * size;
        let mut bytes = [0; 16];
        self.memory.read(Part::Cq, offset, &mut bytes)?;
        let flags = Completion::parse(&bytes, None).flags;
        let mixed = self.params.has(setup::CQE_MIXED) && flags & cqe::LARGE != 0;
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
