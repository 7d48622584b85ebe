//! What a look at a ring finds.

use libc::pid_t;

use crate::decode::{Completion, Entry};
use crate::describe::Details;

/// Who offered an entry to the kernel, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// The task that called `io_uring_enter`.
    pub tid: pid_t,
    /// When it continued into the kernel, in microseconds since the trace began.
    pub us: u64,
}

/// Says what an entry asks for, with what it points at in the program's memory. The flag says
/// whether the entry waits for another in its chain.
pub type Follow<'a> = &'a dyn Fn(&Entry, bool) -> Option<Details>;

/// An entry that the kernel took.
#[derive(Debug)]
pub struct Taken {
    /// The entry.
    pub entry: Entry,
    /// The enter that offered it; `None` where a kernel thread took it by itself.
    pub offer: Option<Offer>,
    /// What it asked for, with what it pointed at when it was offered; `None` if that may have
    /// been gone already.
    pub pointed: Option<Details>,
    /// The place of the queue's memory that it lay in.
    pub place: u32,
}

/// Both ends of both queues, at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Queues {
    /// The next entry that the kernel takes.
    pub sq_head: u32,
    /// One past the last entry that the program published.
    pub sq_tail: u32,
    /// The next completion that the program reaps.
    pub cq_head: u32,
    /// One past the last completion that the kernel posted.
    pub cq_tail: u32,
    /// Completions wait in the kernel for room (`IORING_SQ_CQ_OVERFLOW`).
    pub overflow: bool,
    /// Completions wait for an enter that asks for them (`IORING_SQ_TASKRUN`).
    pub taskrun: bool,
}

impl Queues {
    /// Entries that were published and not taken.
    pub fn waiting(&self) -> u32 {
        self.sq_tail.wrapping_sub(self.sq_head)
    }

    /// Completions that were posted and not reaped; below zero if the program says that it has
    /// reaped more than were posted.
    pub fn unreaped(&self) -> i32 {
        self.cq_tail.wrapping_sub(self.cq_head) as i32
    }
}

/// A completion that the kernel posted, and its place, for [`Ring::reaped`](super::Ring::reaped).
#[derive(Clone, Copy, Debug)]
pub struct Posted {
    /// The completion.
    pub completion: Completion,
    pub(super) at: u32,
}

impl Posted {
    /// Whether its place is before this one.
    pub fn before(&self, place: u32) -> bool {
        place.wrapping_sub(self.at) as i32 > 0
    }
}

/// What a look at a ring found.
#[derive(Debug, Default)]
pub struct Sight {
    /// Entries that the kernel took, in order.
    pub submitted: Vec<Taken>,
    /// Completions that the kernel posted, in order.
    pub completed: Vec<Posted>,
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
    /// Whether anything was found.
    pub fn is_empty(&self) -> bool {
        self.submitted.is_empty()
            && self.completed.is_empty()
            && self.unseen_entries + self.unseen_completions + self.dropped == 0
    }
}

/// A place in the submission queue, as it was when the program offered it.
#[derive(Debug)]
pub(super) struct Offered {
    /// `None` if the array's index was out of range.
    pub entry: Option<Entry>,
    /// How many places it takes: two for a large entry in a mixed ring.
    pub places: u32,
    pub by: Option<Offer>,
    pub pointed: Option<Details>,
    /// Where in the memory of the entries it lies.
    pub index: u32,
}

impl Offered {
    /// The entry as taken by the kernel; `None` if the kernel drops the place.
    pub fn taken(self) -> Option<Taken> {
        let Offered { by, pointed, index, .. } = self;
        Some(Taken { entry: self.entry?, offer: by, pointed, place: index })
    }
}
