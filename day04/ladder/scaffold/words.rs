//! A rung's options and output: as on day 04.

use std::net::SocketAddr;

use clap::{Parser, ValueEnum};
use common::listener;
use common::talk::{Talk, TalkOptions};
use serde::Serialize;
use serde_json::{Value, json};

/// A rung of the ladder: the head of its source says what is new on it
#[derive(Parser, Clone, Debug)]
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

/// A rung of the ladder: the head of its source says what is new on it
#[derive(Parser, Clone, Debug)]
pub struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    pub reply: Reply,

    #[command(flatten)]
    pub basics: Basics,
}

/// The two conversations, as on day 04.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reply {
    /// The four bytes `ack\0`, then close
    Ack,
    /// Every byte back, until the client ends
    Echo,
}

/// The numbers in the summary.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counts {
    pub connections: u64,
    pub requests: u64,
    /// `None` if the rung cannot know.
    pub bytes_in: Option<u64>,
    pub bytes_out: u64,
    pub resets: u64,
    pub enters: u64,
}

/// Prints where the rung listens. `details` go into the JSON object, if it is one.
pub fn announce(talk: &mut Talk, title: &str, address: SocketAddr, reply: Reply, details: Value) {
    let name = if reply == Reply::Ack { "ack" } else { "echo" };
    talk.explain(format_args!("{title}; reply: {name}"));
    let event = json!({"event": "listening", "address": address.to_string(), "reply": reply});
    talk.always(format_args!("listening on {address}"), merged(event, details));
    talk.explain(format_args!("Ctrl-C stops it"));
}

/// Prints what day 04 prints at its end.
pub fn summarise(talk: &mut Talk, counts: &Counts, details: Value) {
    let Counts { connections, requests, bytes_in, bytes_out, resets, enters } = counts;
    let bytes_in = bytes_in.map_or("unknown".to_string(), |bytes| bytes.to_string());
    let per_request = (*requests > 0).then(|| *enters as f64 / *requests as f64);
    let ratio = per_request.map_or(String::new(), |ratio| format!(", {ratio:.2} a request"));
    let event =
        merged(json!({"event": "summary", "enters_per_request": per_request}), json!(counts));
    talk.always(
        format_args!(
            "\n{connections} connections, {requests} requests, {bytes_in} bytes in, \
             {bytes_out} bytes out, {resets} resets\n\
             {enters} system calls to submit and wait{ratio}"
        ),
        merged(event, details),
    );
}

fn merged(mut event: Value, more: Value) -> Value {
    if let (Value::Object(event), Value::Object(more)) = (&mut event, more) {
        event.extend(more);
    }
    event
}
