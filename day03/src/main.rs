//! Day 03: one multishot accept, and every client lands in a direct slot.
//!
//! The accept is armed once and completes for every client. A client never gets a file
//! descriptor: the kernel puts it into a slot of the ring's own table, and the completion
//! tells which. Needs Linux 5.19.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::environment;
use common::listener::{self, Listener};
use common::ring::{self, Granted, RingOptions};
use common::signals::StopSignals;
use common::slots::{Admission, Way};
use common::talk::{Talk, TalkOptions};
use common::text::several;
use serde_json::json;

use crate::server::Server;

mod server;

/// Accept connections into direct slots with one multishot accept
///
/// Each client is told its slot and may stay as long as it likes. When all slots are taken,
/// later clients wait, and are served when one comes free. Ctrl-C ends it.
#[derive(Parser)]
#[command(version)]
struct Options {
    /// Where to listen; port 0 takes a free port and prints it
    #[arg(long, value_name = "HOST:PORT", default_value = listener::DEFAULT_ADDRESS, value_parser = listener::parse_address)]
    listen: SocketAddr,

    /// Clients that are served at a time
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    slots: u32,

    /// Stop after this many clients
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,

    #[command(flatten)]
    ring: RingOptions,

    #[command(flatten)]
    talk: TalkOptions,
}

/// The size of the submission queue unless `--entries` says otherwise: a turn queues a few
/// entries, and a full queue is submitted at once.
const ENTRIES: u32 = 8;

fn main() -> ExitCode {
    environment::report("day03", run(&Options::parse()))
}

// ANCHOR: run
fn run(options: &Options) -> Result<()> {
    // Blocked before anything else exists that a signal could interrupt.
    let mut signals = StopSignals::block()?;
    let listener = Listener::bind(options.listen)?;

    let (mut ring, dropped) = ring::build_best(&options.ring, ENTRIES)?;
    let granted = Granted::of(&ring);
    let spare = Admission::spare(granted.cq_entries);
    let table = ring::table_size(options.slots, spare)?;
    ring::register_slots(&ring.submitter(), table)?;

    let admission = Admission::new(options.slots, table, granted.cq_entries);
    let mut talk = Talk::new(options.talk);
    announce(&mut talk, options, &listener, &granted, &dropped, table, admission.way());

    let server = Server::new(&mut ring, &listener, admission, table, options.slots, talk);
    server.run(&mut signals, options.max)
}
// ANCHOR_END: run

fn announce(
    talk: &mut Talk,
    options: &Options,
    listener: &Listener,
    granted: &Granted,
    dropped: &[&str],
    table: u32,
    way: Way,
) {
    talk.explain(format_args!(
        "day 03 · one multishot accept, every client in a direct slot\n\n\
         ring: {} submission and {} completion queue entries",
        granted.sq_entries, granted.cq_entries
    ));
    if !dropped.is_empty() {
        talk.explain(format_args!("this kernel refused, so we do without: {}", dropped.join(", ")));
    }
    if let Some(trouble) = ring::known_trouble(&environment::kernel_release()) {
        talk.explain(format_args!("careful: {trouble}"));
    }
    let spare = table - options.slots;
    match way {
        Way::Multishot => talk.explain(format_args!(
            "table: {}, and {spare} spare where late comers wait",
            several(options.slots as usize, "slot")
        )),
        Way::OneByOne => talk.explain(format_args!(
            "table: {} and {spare} spare: RLIMIT_NOFILE leaves too little room for a multishot \
             accept, so clients are let in one by one (`ulimit -n {}` in this shell first)",
            several(options.slots as usize, "slot"),
            options.slots + Admission::spare(granted.cq_entries)
        )),
    }
    talk.always(
        format_args!("listening on {}", listener.address()),
        json!({
            "event": "listening",
            "address": listener.address().to_string(),
            "slots": options.slots,
            "table": table,
            "accepting": way.name(),
            "sq_entries": granted.sq_entries,
            "cq_entries": granted.cq_entries,
            "dropped": dropped,
        }),
    );
    talk.explain(format_args!(
        "try: nc {} {} (a second terminal); Ctrl-C here to stop\n\
         (no client's address is shown: a multishot accept has room for one, and the \
         next client may overwrite it before it is read)\n",
        listener.address().ip(),
        listener.address().port()
    ));
}
