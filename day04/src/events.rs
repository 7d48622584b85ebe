//! What the server prints: each event is one value, which becomes a line for people (`Display`)
//! or a JSON object for programs (`Serialize`).

use std::fmt;
use std::io;
use std::net::SocketAddr;

use common::text::several;
use serde::Serialize;

use crate::sandbox::Sandbox;

#[derive(Serialize)]
#[serde(tag = "event")]
pub enum Event {
    #[serde(rename = "listening")]
    Listening(Listening),
    // ANCHOR: event
    #[serde(rename = "accept failed")]
    AcceptFailed { error: String },
    #[serde(rename = "received")]
    Received { slot: u32, bytes: usize, text: String },
    #[serde(rename = "failed")]
    Failed { slot: u32, error: String },
    #[serde(rename = "timed out")]
    TimedOut { slot: u32 },
    #[serde(rename = "stopping")]
    Stopping { signal: &'static str },
    // ANCHOR_END: event
    #[serde(rename = "summary")]
    Summary {
        #[serde(flatten)]
        counts: Counts,
        enters: u64,
        enters_per_request: Option<f64>,
        /// Lines that could not be printed.
        lines_dropped: usize,
    },
}

/// The first event: the address that clients connect to, and what the kernel has granted.
#[derive(Serialize)]
pub struct Listening {
    pub address: SocketAddr,
    pub slots: u32,
    pub table: u32,
    pub accepting: &'static str,
    pub sq_entries: u32,
    pub cq_entries: u32,
    pub dropped: Vec<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sandbox: Option<Sandbox>,
}

/// What the summary counts.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub resets: u64,
    pub timed_out: u64,
    pub out_of_buffers: u64,
}

impl Counts {
    /// The last event: the totals, and the system calls that they took.
    pub fn summary(&self, enters: u64, lines_dropped: usize) -> Event {
        let enters_per_request = (self.requests > 0).then(|| enters as f64 / self.requests as f64);
        Event::Summary { counts: *self, enters, enters_per_request, lines_dropped }
    }
}

impl Event {
    /// Bytes of a request, shown as one line of text.
    pub fn received(slot: u32, bytes: &[u8]) -> Event {
        Event::Received { slot, bytes: bytes.len(), text: printable(bytes) }
    }

    /// An operation on a client's slot failed.
    pub fn failed(slot: u32, errno: i32) -> Event {
        Event::Failed { slot, error: io::Error::from_raw_os_error(errno).to_string() }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Listening(listening) => write!(f, "listening on {}", listening.address),
            Event::AcceptFailed { error } => {
                write!(f, "an accept failed, and is armed again in a moment: {error}")
            }
            Event::Received { slot, bytes, text } => {
                write!(f, "slot {slot}: {bytes} bytes: {text}")
            }
            Event::Failed { slot, error } => write!(f, "slot {slot}: {error}"),
            Event::TimedOut { slot } => write!(f, "slot {slot}: no progress, closed"),
            Event::Stopping { signal } => write!(f, "{signal}: no more clients"),
            Event::Summary { counts, enters, enters_per_request, lines_dropped } => {
                let count = |count: u64, thing| several(count as usize, thing);
                // With a few requests, starting and stopping would count for more than serving.
                let ratio = enters_per_request.filter(|_| counts.requests >= 10);
                let ratio = ratio.map_or(String::new(), |ratio| format!(", {ratio:.2} a request"));
                let (bytes_in, bytes_out) = (counts.bytes_in, counts.bytes_out);
                writeln!(
                    f,
                    "\n{}, {}, {bytes_in} bytes in, {bytes_out} bytes out",
                    count(counts.connections, "connection"),
                    count(counts.requests, "request")
                )?;
                writeln!(f, "{} to submit and wait{ratio}", count(*enters, "system call"))?;
                let resets = count(counts.resets, "reset");
                let waits = count(counts.out_of_buffers, "wait");
                write!(f, "{resets}, {} timed out, {waits} for a buffer", counts.timed_out)?;
                match lines_dropped {
                    0 => Ok(()),
                    lines => write!(f, "\n{} not printed in all", several(*lines, "line")),
                }
            }
        }
    }
}

/// Bytes as one line of text: what is neither text nor a space is escaped.
fn printable(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\'' | '"' => text.push(character),
                _ => text.extend(character.escape_debug()),
            }
        }
        text.push_str(&chunk.invalid().escape_ascii().to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn requests_are_bytes_and_print_as_one_line() {
        assert_eq!(printable(b"hello"), "hello");
        assert_eq!(printable("h\u{e9}llo \u{1f980}".as_bytes()), "h\u{e9}llo \u{1f980}");
        assert_eq!(printable("\u{202e}abc".as_bytes()), r"\u{202e}abc");
        assert_eq!(printable(b"'a\r\nb\x00\x1b[2J\xff\\"), r"'a\r\nb\0\u{1b}[2J\xff\\");
    }
}
