//! What is wrong with a program, as far as its rings and its calls show it.
//!
//! The [`Watch`](super::watch::Watch) tells the [`Doctor`] each [`Fact`] as it sees it. The
//! doctor keeps the entries that are under way ([`Request`]) and asks every family of rules;
//! what they find is a [`Diagnosis`]. From the ring inwards:
//!
//! - [`queue`]: entries that did not go in, or not as they were meant to; refused enters;
//! - [`reaping`]: completions that stay in their queue, and a queue that overflows;
//! - [`armed`]: a multishot that ended, and what is given to nobody by a cancel or a name;
//! - [`waits`]: why a program that stands still does not go on, with [`hang`], which the
//!   exercises use as well;
//! - [`spin`]: the same again and again;
//! - [`fields`]: what an entry asks for that the kernel refuses, or takes for something else;
//! - [`memory`]: what an entry points at;
//! - [`buffers`], [`files`], [`bytes`]: the books of provided buffers, of descriptors and
//!   slots, and of what was sent and written;
//! - [`outside`]: threads, signals, rights, setups.
//!
//! A rule speaks only of what it saw. Where it concludes, it says so. Where completions went by
//! unseen, nothing is said of what is under way.

mod armed;
mod buffers;
mod bytes;
mod fields;
mod files;
pub mod hang;
mod memory;
mod outside;
mod queue;
mod reaping;
mod spin;
mod waits;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::ops::Range;

use libc::pid_t;
use serde::Serialize;

use super::codes::{op, setup, sqe};
use super::context::{Reader, span};
use super::decode::{Completion, Entry};
use super::event;
use super::names::operation;
use super::params::Params;
use super::refused::RefusedRing;
use super::ring::Queues;
use super::ring_descriptors::RingId;
use super::syscalls::Call;
use super::watch::RingNow;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// Which kind of fault, `dead-wait` for example.
    pub kind: &'static str,
    /// The ring, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// How often it was found.
    pub times: u64,
    /// What was seen, the first time: entries by their numbers, times, sizes.
    pub seen: String,
    /// What it means, and what to do.
    pub means: String,
    /// Where the book explains it: page and section.
    pub book: &'static str,
    /// It is concluded from what was seen, and could be otherwise.
    pub concluded: bool,
    /// When it was found, in microseconds since the trace began.
    pub found_us: u64,
}

impl Diagnosis {
    /// What it means, marked if it is a conclusion.
    pub fn advice(&self) -> String {
        let mark = if self.concluded { "(a conclusion) " } else { "" };
        format!("{mark}{}", self.means)
    }
}

/// A kind of fault: its name, and where the book explains it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// Its name.
    pub id: &'static str,
    /// Page and section.
    pub book: &'static str,
    /// Whether it is a conclusion.
    pub concluded: bool,
}

impl Kind {
    const fn new(id: &'static str, book: &'static str) -> Kind {
        Kind { id, book, concluded: false }
    }

    const fn concluded(id: &'static str, book: &'static str) -> Kind {
        Kind { id, book, concluded: true }
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
            _ if entry.has(sqe::FIXED_FILE) => format!(", slot {}", entry.fd),
            op::OPENAT | op::OPENAT2 | op::STATX | op::UNLINKAT | op::MKDIRAT => {
                let path = Reader::of(self.owner).string(entry.addr).filter(|path| {
                    path.len() < 60 && !path.is_empty() && !path.contains(char::is_control)
                });
                path.map_or_else(String::new, |path| format!(", \"{path}\""))
            }
            op::NOP
            | op::TIMEOUT
            | op::LINK_TIMEOUT
            | op::ASYNC_CANCEL
            | op::PROVIDE_BUFFERS
            | op::REMOVE_BUFFERS
            | op::POLL_REMOVE
            | op::TIMEOUT_REMOVE
            | op::FUTEX_WAIT
            | op::FUTEX_WAKE
            | op::FUTEX_WAITV
            | op::SOCKET
            | op::WAITID
            | op::FILES_UPDATE => String::new(),
            _ => format!(", fd {}", entry.fd),
        };
        format!("entry {} ({operation}{about})", self.seq)
    }

    /// `IORING_OP_RECV …` has a buffer of its own in the program's memory: where it is.
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
        (!entry.has(sqe::FIXED_FILE) && entry.fd >= 0 && !other.contains(&entry.opcode))
            .then_some(entry.fd)
    }

    /// The slot that it is about, if it names one.
    pub fn slot(&self) -> Option<u32> {
        self.entry.has(sqe::FIXED_FILE).then_some(self.entry.fd as u32)
    }

    /// Whether both are about the same file.
    pub fn same_file(&self, other: &Request) -> bool {
        self.ring_or_table(other) && self.fd() == other.fd() && self.slot() == other.slot()
    }

    fn ring_or_table(&self, other: &Request) -> bool {
        match self.slot() {
            Some(_) => self.ring == other.ring,
            None => self.owner == other.owner,
        }
    }
}

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
    /// A call that has nothing to do with rings begins; so many completions lie in that ring of
    /// the process which has the most.
    Called { name: &'a str, call: &'a Call, unreaped: u32 },
    /// It has ended, and took long.
    CallEnded { unreaped: u32 },
    /// A signal is delivered to a thread.
    Signal(i32),
    /// The program lets go of a ring, with these entries in its queue.
    Closing { queues: Queues, published: &'a [Entry] },
    /// Nothing has moved in the rings of a process for a while.
    Still { rings: &'a [RingNow], threads: &'a [hang::Thread], published: &'a [Entry] },
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

/// `at 0.0123 s`, as the text's first column has it.
pub(crate) fn at(us: u64) -> String {
    format!("at {:.4} s", us as f64 / 1e6)
}

/// `1, 2 and 3`, of many the first ones.
pub(crate) fn listed<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    const SHOWN: usize = 4;
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.as_slice() {
        [one] => one.clone(),
        [most @ .., last] if items.len() <= SHOWN => format!("{} and {last}", most.join(", ")),
        many => {
            let shown = many.len().min(SHOWN - 1);
            format!("{} and {} more", many[..shown].join(", "), many.len() - shown)
        }
    }
}

/// A family of rules, with the books that it keeps.
trait Rules: std::fmt::Debug + Send {
    fn see(&mut self, fact: &Fact<'_>, scene: &Scene<'_>, found: &mut Found);
}

/// What was found so far.
#[derive(Debug, Default)]
pub(crate) struct Found {
    list: Vec<Diagnosis>,
    told: usize,
}

impl Found {
    /// Something was found: what it is, and what that means. The first is put into words,
    /// others that mean the same are counted.
    fn say(
        &mut self,
        scene: &Scene<'_>,
        kind: Kind,
        seen: impl Into<String>,
        means: impl Into<String>,
    ) {
        self.tell(scene, kind, (seen.into(), means.into()), 1);
    }

    /// As [`Found::say`], of a state that lasts and is seen again and again.
    fn say_once(
        &mut self,
        scene: &Scene<'_>,
        kind: Kind,
        seen: impl Into<String>,
        means: impl Into<String>,
    ) {
        self.tell(scene, kind, (seen.into(), means.into()), 0);
    }

    fn tell(&mut self, scene: &Scene<'_>, kind: Kind, words: (String, String), again: u64) {
        let Kind { id, book, concluded } = kind;
        let (seen, means) = words;
        let ring = (scene.ring != 0).then_some(scene.ring);
        let same = |known: &&mut Diagnosis| known.kind == id && known.means == means;
        match self.list.iter_mut().find(same) {
            Some(known) => known.times += again,
            None => {
                let (times, found_us) = (1, scene.us);
                let found =
                    Diagnosis { kind: id, ring, times, seen, means, book, concluded, found_us };
                self.list.push(found);
            }
        }
    }
}

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
    /// Rings that a task is in at this moment: what has come out of them is not seen yet.
    pub hidden: Vec<RingId>,
    /// The processes of threads.
    pub processes: HashMap<pid_t, pid_t>,
    /// Whether the last call of a thread was one of [`LEAVES`].
    leaving: HashMap<pid_t, bool>,
    /// Other system calls are not seen.
    pub fast: bool,
}

/// Calls by which a program lets go of a ring on its own account.
const LEAVES: &[&str] = &["close", "close_range", "dup2", "dup3", "exit", "exit_group", "execve"];

impl Default for Doctor {
    fn default() -> Doctor {
        Doctor {
            rules: vec![
                Box::new(queue::Queue::default()),
                Box::new(reaping::Reaping::default()),
                Box::new(armed::Armed::default()),
                Box::new(fields::Fields::default()),
                Box::new(memory::Memory::default()),
                Box::new(buffers::Buffers::default()),
                Box::new(files::Files::default()),
                Box::new(bytes::Bytes::default()),
                Box::new(outside::Outside::default()),
                Box::new(spin::Spin::default()),
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
        let news = self.found.list[self.found.told..].to_vec();
        self.found.told = self.found.list.len();
        news
    }

    /// All that was found so far.
    pub fn all(&self) -> &[Diagnosis] {
        &self.found.list
    }
}

#[cfg(test)]
mod tests;
