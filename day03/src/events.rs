//! What the server says: each event is one value, which prints itself as a line for people
//! (`Display`) or as a JSON object for programs (`Serialize`).

use std::fmt;
use std::net::SocketAddr;

use common::text::several;
use serde::Serialize;

/// What happened.
#[derive(Serialize)]
#[serde(tag = "event")]
pub enum Event {
    /// The first event: the address that clients connect to.
    #[serde(rename = "listening")]
    Listening {
        address: SocketAddr,
        slots: u32,
        table: u32,
        accepting: &'static str,
        sq_entries: u32,
        cq_entries: u32,
        dropped: Vec<&'static str>,
    },
    /// A client is greeted.
    #[serde(rename = "accepted")]
    Accepted { client: u64, slot: u32 },
    /// No client is accepted until another has left.
    #[serde(rename = "full")]
    Full { served: u32, waiting: u32 },
    /// Clients are accepted again.
    #[serde(rename = "room")]
    Room,
    /// The kernel accepted a client, and had no slot for it.
    #[serde(rename = "lost")]
    Lost,
    #[serde(rename = "accept failed")]
    AcceptFailed { error: String },
    /// A client has left, and its slot is free.
    #[serde(rename = "closed")]
    Closed { client: u64, slot: u32 },
    #[serde(rename = "stopping")]
    Stopping { signal: &'static str },
    /// The last event.
    #[serde(rename = "summary")]
    Summary {
        #[serde(flatten)]
        counts: Counts,
        enters: u64,
        lines_dropped: usize,
    },
}

/// What the summary counts.
#[derive(Clone, Copy, Default, Serialize)]
pub struct Counts {
    pub clients: u64,
    pub closed: u64,
    pub lost: u64,
    pub accepts_armed: u64,
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening { address, .. } => write!(f, "listening on {address}"),
            Event::Accepted { client, slot } => write!(f, "client {client} is in slot {slot}"),
            Event::Full { served, waiting } => {
                write!(f, "full: {served} served, {waiting} waiting, nobody else is accepted")
            }
            Event::Room => write!(f, "room again: clients are accepted"),
            Event::Lost => {
                write!(f, "no slot was free: the kernel dropped a client it had accepted")
            }
            Event::AcceptFailed { error } => {
                write!(f, "an accept failed, and is armed again in a moment: {error}")
            }
            Event::Closed { client, slot } => {
                write!(f, "client {client} has left, slot {slot} is free")
            }
            Event::Stopping { signal } => write!(f, "{signal}: no more clients"),
            Event::Summary { counts, enters, lines_dropped } => {
                let count = |count: u64, noun| several(count as usize, noun);
                let (clients, closed) = (count(counts.clients, "client"), counts.closed);
                write!(f, "\n{clients}, {} closed", count(closed, "slot"))?;
                if counts.lost > 0 {
                    write!(f, ", {} lost", count(counts.lost, "client"))?;
                }
                let accepts = count(counts.accepts_armed, "accept");
                let calls = count(*enters, "system call");
                write!(f, "\n{accepts} armed, {calls} to submit and wait")?;
                match lines_dropped {
                    0 => Ok(()),
                    lines => write!(f, "\n{} not printed in all", several(*lines, "line")),
                }
            }
        }
    }
}
