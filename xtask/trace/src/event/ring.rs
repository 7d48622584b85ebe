//! A ring, from its setup to its close.

use serde::Serialize;
use serde_json::{Map, Value};

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
    pub(crate) fn of(process: i32) -> Option<Left> {
        let process = process as u32;
        let slots = testkit::ring_slots(process).ok()?;
        Some(Left { slots, waiting: testkit::ring_operations(process).ok()? })
    }
}
