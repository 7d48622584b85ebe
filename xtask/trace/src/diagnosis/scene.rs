//! What the rules are asked about: a fact, and the scene that it was seen in.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use libc::pid_t;

use super::Request;
use crate::codes::setup;
use crate::context::{Reader, span};
use crate::decode::{Completion, Entry};
use crate::event;
use crate::params::Params;
use crate::refused::RefusedRing;
use crate::ring::{Queues, RingNow};
use crate::ring_descriptors::RingId;
use crate::syscalls::Call;
use crate::threads::Thread;

/// Something that was seen.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fact<'a> {
    /// A ring was refused.
    Refused(&'a RefusedRing),
    /// A ring was granted, and is followed.
    Granted(&'a Params),
    /// A register call has returned.
    Registered { operation: u32, argument: u64, count: u64, result: i64 },
    /// An enter begins; `dead` is the part of the thread's stack that is below its stack
    /// pointer.
    Entering { enter: &'a event::Enter, queues: Queues, dead: Option<&'a Range<u64>> },
    /// An entry went in.
    Submitted(&'a Request),
    /// A completion came out; the last one for its entry, unless there is more to come. Inside
    /// of the enter of that number, if one was under way.
    Completed { request: Option<&'a Request>, completion: &'a Completion, inside: Option<u64> },
    /// The kernel dropped entries, for their index was out of range.
    Dropped(u64),
    /// An enter has returned.
    Returned { enter: &'a event::Enter, result: i64, queues: Queues },
    /// A call that has nothing to do with rings begins. `unreaped` completions lie in the fullest
    /// ring of the process.
    Called { name: &'a str, call: &'a Call, unreaped: u32 },
    /// Such a call has ended, and took long.
    CallEnded { unreaped: u32 },
    /// A signal is delivered to a thread.
    Signal(i32),
    /// The program lets go of a ring, with these entries in its queue.
    Closing { queues: Queues, published: &'a [Entry] },
    /// Nothing has moved in the rings of a process for a while.
    Still { rings: &'a [RingNow], threads: &'a [Thread], queues: Queues, published: &'a [Entry] },
    /// The program has ended, with this status.
    Ended(i32),
}

/// Where and when a fact was seen, and what is under way.
#[derive(Debug)]
pub(crate) struct Scene<'a> {
    /// When.
    pub us: u64,
    /// In which thread; 0 if the tracer looked on its own.
    pub tid: pid_t,
    /// In which ring, if in one.
    pub ring: RingId,
    /// The process that made that ring.
    pub owner: pid_t,
    /// The process of the thread, as far as that is known.
    pub process: pid_t,
    /// The rings by their numbers, with what they were granted.
    pub rings: &'a BTreeMap<RingId, Params>,
    /// The entries that were not fully answered, by their numbers.
    pub open: &'a BTreeMap<u64, Request>,
    /// Rings of which something went by unseen.
    pub blurred: &'a HashSet<RingId>,
    /// Rings in which entries may be under way that went in before the trace.
    pub older: &'a HashSet<RingId>,
    /// Rings whose completions may be there and not be seen yet.
    pub hidden: &'a [RingId],
    /// The thread closes something or exits on its own account: nobody killed it.
    pub leaves: bool,
    /// Other system calls are not seen (`--fast`).
    pub fast: bool,
}

impl Scene<'_> {
    /// What is under way in the ring; empty if that is not known.
    pub fn open_here(&self) -> impl Iterator<Item = &Request> {
        let known = !self.blurred.contains(&self.ring);
        self.open.values().filter(move |request| known && request.ring == self.ring)
    }

    /// Whether it is known that nothing is under way in the ring.
    pub fn nothing_open(&self) -> bool {
        let known = !self.blurred.contains(&self.ring) && !self.older.contains(&self.ring);
        known && self.open_here().next().is_none()
    }

    /// Whether the ring has a flag of its setup.
    pub fn has(&self, flag: u32) -> bool {
        self.rings.get(&self.ring).is_some_and(|params| params.has(flag))
    }

    /// Whether a kernel thread takes the ring's entries.
    pub fn polled(&self) -> bool {
        self.has(setup::SQPOLL)
    }

    /// Reads the program's memory.
    pub fn program(&self) -> Reader {
        Reader::of(if self.tid == 0 { self.owner } else { self.tid })
    }

    /// How long ago something was, in words.
    pub fn since(&self, us: u64) -> String {
        span(self.us.saturating_sub(us))
    }
}
