//! What is wrong with a program, as far as its rings and its calls show it.
//!
//! The [`Watch`](super::watch::Watch) tells the [`Doctor`] each [`Fact`] as it sees it. The
//! doctor keeps the entries that are under way ([`Request`]) and asks every family of rules;
//! what they find is a [`Diagnosis`]. From the ring inwards:
//!
//! - [`queue`]: entries that did not go in, or not as they were meant to; refused enters;
//! - [`reaping`]: completions that stay in their queue, and a queue that overflows;
//! - [`armed`]: a multishot that ended, a cancel that finds nothing, two entries with one value;
//! - [`waits`]: why a program that stands still does not go on; [`stalled`]: why an entry does not;
//! - [`spin`]: calls and answers that repeat without progress;
//! - [`fields`]: what an entry asks for that the kernel refuses, or takes for something else;
//! - [`pointers`]: what an entry points at; [`memory`]: what else is done with that memory;
//! - [`buffers`], [`files`], [`bytes`]: the books of provided buffers, of descriptors and
//!   slots, and of what was sent and written;
//! - [`outside`]: threads, signals, rights, setups.
//!
//! What a rule looks at is in [`scene`], and how it reports in [`rules`].
//!
//! A rule reports only what it saw, and marks what it concludes. Once completions went by unseen,
//! no rule judges what is under way.

mod armed;
mod buffers;
mod bytes;
mod fields;
mod files;
mod memory;
mod outside;
mod pointers;
mod queue;
mod reaping;
mod request;
mod rules;
mod scene;
mod spin;
mod stalled;
mod waits;

use std::collections::{BTreeMap, HashMap, HashSet};

use libc::pid_t;

use super::codes::{setup, sqe};
use super::decode::{Completion, Entry};
use super::event::Diagnosis;
use super::params::Params;
use super::ring_descriptors::RingId;

pub(crate) use request::{Handle, Request};
use rules::{Found, Kind, Rules, at, listed};
pub(crate) use scene::{Fact, Scene};

/// Keeps what is under way, and asks the rules.
#[derive(Debug)]
pub(crate) struct Doctor {
    rules: Vec<Box<dyn Rules>>,
    found: Found,
    open: BTreeMap<u64, Request>,
    rings: BTreeMap<RingId, Params>,
    blurred: HashSet<RingId>,
    /// Rings with entries from before the trace.
    older: HashSet<RingId>,
    /// The entry that the next one of a ring is linked behind.
    chains: HashMap<RingId, u64>,
    /// What was last in a place of a ring's queue.
    places: HashMap<(RingId, u32), (u64, Entry)>,
    /// Rings that a task is entering at this moment: their new completions are not seen yet.
    pub hidden: Vec<RingId>,
    /// The processes of threads.
    pub processes: HashMap<pid_t, pid_t>,
    /// Whether the last call of a thread was one of [`LEAVES`].
    leaving: HashMap<pid_t, bool>,
    /// Other system calls are not seen.
    pub fast: bool,
}

/// Calls by which a program lets go of a ring without being killed.
const LEAVES: &[&str] = &["close", "close_range", "dup2", "dup3", "exit", "exit_group", "execve"];

impl Default for Doctor {
    fn default() -> Doctor {
        Doctor {
            rules: vec![
                Box::new(queue::Queue::default()),
                Box::new(reaping::Reaping::default()),
                Box::new(armed::Armed::default()),
                Box::new(fields::Fields::default()),
                Box::new(pointers::Pointers::default()),
                Box::new(memory::Memory::default()),
                Box::new(buffers::Buffers::default()),
                Box::new(files::Files::default()),
                Box::new(bytes::Bytes::default()),
                Box::new(outside::Outside::default()),
                Box::new(spin::Spin::default()),
                Box::new(stalled::Stalled::default()),
                Box::new(waits::Waits::default()),
            ],
            found: Found::default(),
            open: BTreeMap::new(),
            rings: BTreeMap::new(),
            blurred: HashSet::new(),
            older: HashSet::new(),
            chains: HashMap::new(),
            places: HashMap::new(),
            hidden: Vec::new(),
            processes: HashMap::new(),
            leaving: HashMap::new(),
            fast: false,
        }
    }
}

impl Doctor {
    /// A fact was seen, at `us`, in the thread `tid`, in a ring of the process `owner`.
    pub fn see(&mut self, us: u64, tid: pid_t, (ring, owner): (RingId, pid_t), fact: &Fact<'_>) {
        if let Fact::Granted(params) = fact {
            self.rings.insert(ring, **params);
        }
        if let Fact::Called { name, .. } = fact {
            self.leaving.insert(tid, LEAVES.contains(name));
        }
        let scene = Scene {
            us,
            tid,
            ring,
            owner,
            process: self.processes.get(&tid).copied().unwrap_or(owner),
            rings: &self.rings,
            open: &self.open,
            blurred: &self.blurred,
            older: &self.older,
            hidden: &self.hidden,
            leaves: self.leaving.get(&tid).copied().unwrap_or(false),
            fast: self.fast,
        };
        for family in &mut self.rules {
            family.see(fact, &scene, &mut self.found);
        }
        let polled = self.rings.get(&ring).is_some_and(|params| params.has(setup::SQPOLL));
        match fact {
            // The thread that polls a ring makes its own batches.
            Fact::Returned { .. } if !polled => _ = self.chains.remove(&ring),
            Fact::Closing { .. } => {
                self.open.retain(|_, request| request.ring != ring);
                self.places.retain(|(of, _), _| *of != ring);
            }
            _ => {}
        }
    }

    /// An entry went in, from a place of the queue.
    pub fn submitted(&mut self, mut request: Request, place: u32) {
        let (seq, ring, entry) = (request.seq, request.ring, request.entry);
        request.behind = self.chains.remove(&ring);
        if entry.linked() {
            self.chains.insert(ring, seq);
        }
        request.before = self.places.insert((ring, place), (seq, entry));
        self.see(request.us, request.tid, (ring, request.owner), &Fact::Submitted(&request));
        if !entry.has(sqe::CQE_SKIP_SUCCESS) && !self.blurred.contains(&ring) {
            self.open.insert(seq, request);
        }
    }

    /// A completion came out, for the entry `seq` if it is known.
    pub fn completed(
        &mut self,
        us: u64,
        tid: pid_t,
        of: (RingId, pid_t),
        (seq, completion): (Option<u64>, &Completion),
        inside: Option<u64>,
    ) {
        const MORE: u32 = crate::codes::cqe::MORE;
        let mut request = seq.and_then(|seq| self.open.remove(&seq));
        if let Some(request) = &mut request {
            request.answers += 1;
            if completion.has(MORE) {
                self.open.insert(request.seq, request.clone());
            }
        }
        let fact = Fact::Completed { request: request.as_ref(), completion, inside };
        self.see(us, tid, of, &fact);
    }

    /// Something of a ring went by unseen: nothing is known of what is under way in it.
    pub fn blurred(&mut self, ring: RingId) {
        self.blurred.insert(ring);
        self.open.retain(|_, request| request.ring != ring);
    }

    /// A ring has entries under way that went in before the trace.
    pub fn older(&mut self, ring: RingId) {
        self.older.insert(ring);
    }

    /// What was found since the last time.
    pub fn news(&mut self) -> Vec<Diagnosis> {
        self.found.news()
    }

    /// All that was found so far.
    pub fn all(&self) -> &[Diagnosis] {
        self.found.all()
    }
}

#[cfg(test)]
mod tests;
