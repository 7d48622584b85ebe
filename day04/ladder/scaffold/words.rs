//! What a rung is asked for, and what it prints: as on day 04.

use std::net::SocketAddr;

use clap::ValueEnum;
use common::listener;
use common::talk::{Talk, TalkOptions};
use serde_json::{Value, json};

/// The command line that all rungs share.
#[derive(clap::Args, Clone, Debug)]
pub struct Basics {
    /// Where to listen; port 0 takes a free port and prints it
    #[arg(long, value_name = "HOST:PORT", default_value = listener::DEFAULT_ADDRESS, value_parser = listener::parse_address)]
    pub listen: SocketAddr,

    /// Clients that are served at a time
    #[arg(long, value_name = "N", default_value_t = 1024, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    pub slots: u32,

    /// Stop after this many connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,

    #[command(flatten)]
    pub talk: TalkOptions,
}

/// The two conversations, as on day 04.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The four bytes `ack\0`, then close
    Ack,
    /// Every byte back, until the client ends
    Echo,
}

/// What the summary tells.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    pub bytes_in: u64,
    pub bytes_out: u64,
    pub resets: u64,
    pub enters: u64,
}

impl Counts {
    /// The sum of two rings.
    pub fn plus(self, other: Counts) -> Counts {
        Counts {
            connections: self.connections + other.connections,
            requests: self.requests + other.requests,
            bytes_in: self.bytes_in + other.bytes_in,
            bytes_out: self.bytes_out + other.bytes_out,
            resets: self.resets + other.resets,
            enters: self.enters + other.enters,
        }
    }
}

/// Prints where the rung listens. `details` go into the JSON object, if it is one.
pub fn announce(talk: &mut Talk, title: &str, address: SocketAddr, reply: Reply, details: Value) {
    let reply = if reply == Reply::Ack { "ack" } else { "echo" };
    talk.explain(format_args!("{title}; reply: {reply}"));
    let mut event = json!({"event": "listening", "address": address.to_string(), "reply": reply});
    if let (Value::Object(event), Value::Object(details)) = (&mut event, details) {
        event.extend(details);
    }
    talk.always(format_args!("listening on {address}"), event);
    talk.explain(format_args!("Ctrl-C stops it"));
}

/// Prints what day 04 prints at its end.
pub fn summarise(talk: &mut Talk, counts: Counts, details: Value) {
    let Counts { connections, requests, bytes_in, bytes_out, resets, enters } = counts;
    let per_request = (requests > 0).then(|| enters as f64 / requests as f64);
    let ratio = per_request.map_or(String::new(), |ratio| format!(", {ratio:.2} a request"));
    let mut event = json!({
        "event": "summary",
        "connections": connections,
        "requests": requests,
        "bytes_in": bytes_in,
        "bytes_out": bytes_out,
        "resets": resets,
        "enters": enters,
        "enters_per_request": per_request,
    });
    if let (Value::Object(event), Value::Object(details)) = (&mut event, details) {
        event.extend(details);
    }
    talk.always(
        format_args!(
            "\n{connections} connections, {requests} requests, {bytes_in} bytes in, \
             {bytes_out} bytes out, {resets} resets\n\
             {enters} system calls to submit and wait{ratio}"
        ),
        event,
    );
}
