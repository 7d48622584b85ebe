//! What crosses a ring: enters, entries, completions.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::ran::{Place, Ran};

/// `io_uring_enter` begins.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Enter {
    /// The ring, if it is followed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// Numbers the enters of a trace from 1.
    pub enter: u64,
    /// How many entries the program asks the kernel to take.
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
    /// The file that bytes come from or go to, or that is flushed, where that is known
    /// (`socket:[12]`, `pipe:[45]`, a path): what its descriptor was of when the entry went in, or
    /// what its slot was filled with.
    #[serde(skip)]
    pub file: Option<String>,
    /// Where in the program's memory its bytes are, or what else is in its `addr`.
    #[serde(skip)]
    pub addr: u64,
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
