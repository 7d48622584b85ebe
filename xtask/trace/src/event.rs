//! The tracer's output: a sequence of [`Event`]s.
//!
//! An event is one line of the JSON output. `schema.json` beside this file is generated from
//! these types and their comments. Times are microseconds since the trace began. `user_data` and addresses are
//! hexadecimal strings, for a JSON number holds 53 bits.

use serde::Serialize;
use serde_json::{Map, Value};

use super::diagnosis::Diagnosis;
use super::ran::{Place, Ran};

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Event {
    /// Microseconds since the trace began; never less than in the event before. For an entry it is
    /// the time of the enter that offered it, for a completion the time when the tracer noticed it.
    pub us: u64,
    /// The thread that did it. For an entry the thread that offered it; for a completion the thread
    /// in whose call it was noticed; 0 if the tracer noticed it while it looked by itself.
    pub tid: i32,
    /// What happened.
    #[serde(flatten)]
    pub what: What,
}

/// The kinds of events. `ring` numbers the rings of a trace from 1.
#[allow(missing_docs, reason = "each holds the type of its name, which has the words")]
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum What {
    Start(Start),
    Attach(Attach),
    Found(Found),
    Setup(Setup),
    Register(Register),
    Enter(Enter),
    Submit(Submit),
    Complete(Complete),
    Return(Return),
    Unseen(Unseen),
    Poller(Poller),
    Workers(Workers),
    Close(Close),
    Task(Task),
    Exit(Exit),
    Diagnosis(Diagnosis),
    LetGo(LetGo),
}

/// The program starts, or a process of it became another program.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Start {
    /// The process.
    pub pid: i32,
    /// The program's path.
    pub program: String,
}

/// The tracer joins a process that runs already.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Attach {
    /// The process.
    pub pid: i32,
    /// The program's path.
    pub program: String,
    /// Its threads, without those that the kernel runs for it.
    pub threads: u32,
}

/// A ring that a process had before the tracer joined it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Found {
    /// The ring; absent if it cannot be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// Its descriptors.
    pub fds: Vec<i32>,
    /// Why it is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_followed: Option<String>,
    /// Submission queue entries.
    pub sq_entries: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// The setup flags that show from outside. Others may be set.
    pub flags: Vec<String>,
    /// `SQE128` and `CQE32` are a conclusion from what lies in the queues: the kernel says it
    /// only while something waits there.
    pub concluded: bool,
    /// How many slots for files are registered; which ones are taken is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u32>,
    /// How many buffers are registered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffers: Option<u32>,
    /// Entries taken before and not answered: all that were taken less all completions.
    /// Absent if there were more completions than entries, as multishots bring them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_flight: Option<u32>,
    /// The operations that wait until their file is ready, once for each entry.
    pub armed: Vec<String>,
    /// Those of the entries in flight that still lie in the queue's memory, oldest first.
    pub entries: Vec<Before>,
}

/// An entry that was taken before the tracer joined, and that no completion has answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Before {
    /// Its number, from the sequence of all entries of the trace.
    pub seq: u64,
    /// The operation's name.
    pub op: String,
    /// As a hexadecimal string.
    pub user_data: String,
    /// The same by its meaning.
    pub meaning: String,
    /// What it is about, in words, without what it points at.
    pub words: String,
}

/// The tracer lets go of a process that it had joined. The process goes on.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct LetGo {
    /// The process.
    pub pid: i32,
    /// Its threads at that moment.
    pub threads: u32,
}

/// `io_uring_setup`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Setup {
    /// The new ring; absent if none was granted, or if it cannot be followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// Its descriptor, or its index if it has none (`IORING_SETUP_REGISTERED_FD_ONLY`).
    pub result: i64,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Why a ring that was granted is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_followed: Option<String>,
    /// The entries that were asked for.
    pub asked_entries: u64,
    /// The completion queue that was asked for, where `CQSIZE` makes it count.
    pub asked_cq_entries: u32,
    /// The setup flags that were asked for.
    pub asked_flags: Vec<String>,
    /// What the kernel made of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub granted: Option<Granted>,
}

/// What the kernel granted, or a resize left.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Granted {
    /// Submission queue entries.
    pub sq_entries: u32,
    /// Completion queue entries.
    pub cq_entries: u32,
    /// The setup flags in force.
    pub flags: Vec<String>,
    /// What this kernel can do.
    pub features: Vec<String>,
    /// Milliseconds until the polling thread sleeps.
    pub sq_thread_idle: u32,
    /// The polling thread's CPU.
    pub sq_thread_cpu: u32,
}

/// `io_uring_register`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Register {
    /// The ring, if it is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// The operation's name.
    pub op: String,
    /// The number of arguments, or what else the operation takes there.
    pub count: u64,
    /// What the operation is about, in words; may be empty.
    pub detail: String,
    /// The same for programs; the names depend on the operation.
    pub details: Map<String, Value>,
    /// What the kernel answered.
    pub result: i64,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The ring's new sizes after a resize.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resized: Option<Granted>,
}

/// `io_uring_enter` begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Enter {
    /// The ring, if it is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// Numbers the enters of a trace from 1.
    pub enter: u64,
    /// How many entries the kernel is to take.
    pub to_submit: u32,
    /// How many completions to wait for.
    pub min_complete: u32,
    /// How long to wait at most, in microseconds (`IORING_ENTER_EXT_ARG`); with `ABS_TIMER`
    /// among the flags the moment until which.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most_us: Option<u64>,
    /// After how many microseconds one completion is enough (`min_wait_usec`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_wait_us: Option<u64>,
    /// `IORING_ENTER_*`.
    pub flags: Vec<String>,
    /// The descriptor, or the registered index.
    pub fd: i32,
    /// Completions that lie in the queue already, posted and not reaped; absent if the ring
    /// is not followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreaped: Option<u32>,
    /// Its end, if that was known when this event was made: it did not sleep.
    #[serde(skip)]
    pub answer: Option<Return>,
}

/// `io_uring_enter` returns.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Return {
    /// The ring, if it is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// The enter that this ends.
    pub enter: u64,
    /// Entries taken, or an error number as a negative one.
    pub result: i64,
    /// The error's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Microseconds between the call and the answer: how long it slept, if it did.
    pub inside_us: u64,
    /// More completions wait in the kernel, for the queue is full (`IORING_SQ_CQ_OVERFLOW`).
    pub overflow: bool,
}

/// An entry went in.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Submit {
    /// The ring.
    pub ring: u32,
    /// Numbers the entries of a trace from 1.
    pub seq: u64,
    /// The operation's name.
    pub op: String,
    /// Its code.
    pub opcode: u8,
    /// `IOSQE_*`.
    pub flags: Vec<String>,
    /// As a hexadecimal string.
    pub user_data: String,
    /// The same by its meaning, where it is a day's token, text or a small number.
    pub meaning: String,
    /// What the operation is about; the names depend on it.
    pub details: Map<String, Value>,
    /// The details in words.
    pub words: String,
    /// The file that bytes come from or go to, where that is known (`socket:[12]`, `pipe:[45]`, a
    /// path): what its descriptor was of when the entry went in, or what its slot was filled with.
    #[serde(skip)]
    pub file: Option<String>,
}

/// A completion came out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Complete {
    /// The ring.
    pub ring: u32,
    /// The entry that it answers; absent if there was none, or if it went in unseen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// That entry's operation; absent likewise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub op: Option<String>,
    /// Several entries with this `user_data` could have been meant, of different operations.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub ambiguous: bool,
    /// As a hexadecimal string.
    pub user_data: String,
    /// The same by its meaning.
    pub meaning: String,
    /// A value, or an error number as a negative one.
    pub res: i32,
    /// The error's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The result in words.
    pub words: String,
    /// What the result does not say; the names depend on the operation.
    #[serde(skip_serializing_if = "Map::is_empty")]
    pub details: Map<String, Value>,
    /// `IORING_CQE_F_*`.
    pub flags: Vec<String>,
    /// The provided buffer that it gives to the program.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<u16>,
    /// The entry stays armed: another completion will come.
    pub more: bool,
    /// Microseconds since the program went on into the enter that offered the entry, without the
    /// time that the tracer took to look at it. In a ring that a kernel thread polls, since the
    /// entry was noticed; unknown if both were noticed in one look.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after_us: Option<u64>,
    /// Where the operation ran.
    #[serde(flatten)]
    pub ran: Option<Ran>,
    /// Where it would have been without the kernel's tracepoints, if that is elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mistaken: Option<Place>,
    /// The second half of a 32-byte completion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra: Option<[String; 2]>,
}

/// Entries or completions went by unread.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Unseen {
    /// The ring.
    pub ring: u32,
    /// Entries that were overwritten before they could be read.
    pub entries: u64,
    /// Completions likewise.
    pub completions: u64,
    /// Entries that the kernel dropped, for their index was out of range.
    pub dropped: u64,
}

/// A polling thread fell asleep or woke up, or more entries wait for it while it sleeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Poller {
    /// The ring.
    pub ring: u32,
    /// It sleeps, and has to be woken (`IORING_SQ_NEED_WAKEUP`).
    pub asleep: bool,
    /// Entries that lie in the queue and that it does not see, for it sleeps.
    pub waiting: u32,
}

/// Threads of the kernel's worker pool (io-wq) began or ended in a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Workers {
    /// The process.
    pub pid: i32,
    /// How many there are now.
    pub count: usize,
    /// The threads that began.
    pub new: Vec<i32>,
    /// How many ended.
    pub ended: usize,
    /// The entries of the enter before this, by their numbers, that went to a worker: the new
    /// threads began for the first of them. This is a conclusion.
    #[serde(rename = "for")]
    pub entries: Vec<u64>,
}

/// The program let go of a ring, and so does the tracer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Close {
    /// The ring.
    pub ring: u32,
    /// Entries that were published and never submitted.
    pub never_submitted: u32,
    /// Completions that were posted and never reaped.
    pub never_reaped: u32,
    /// What `/proc` says of the process's rings at this moment, if the tracer looked.
    #[serde(skip)]
    pub left: Option<Left>,
}

/// What a process leaves behind in its rings when it closes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// The slots that are taken.
    pub slots: Vec<u32>,
    /// The codes of the operations that wait on a poll: armed accepts and receives.
    pub waiting: Vec<u32>,
}

impl Left {
    /// What the kernel reports about a process; `None` if it does not.
    pub(super) fn of(process: i32) -> Option<Left> {
        let process = process as u32;
        let slots = testkit::ring_slots(process).ok()?;
        Some(Left { slots, waiting: testkit::ring_operations(process).ok()? })
    }
}

/// A process or thread begins.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Task {
    /// The new thread; for a process its first.
    pub new: i32,
    /// Whether it is a separate process.
    pub process: bool,
}

/// A process ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Exit {
    /// The process.
    pub pid: i32,
    /// Its exit status, or 128 and the signal that killed it.
    pub status: i32,
    /// The signal's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}
