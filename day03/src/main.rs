//! Day 03: one multishot accept, and every client lands in a direct slot.
//!
//! The accept is armed once and completes for every client. A client never gets a file
//! descriptor: the kernel puts it into a slot of the ring's own table, and the completion
//! says which. Needs Linux 5.19.

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::environment;
use common::listener::{self, Listener};
use common::ring::{self, Granted, RingOptions};
use common::signals::StopSignals;
use common::talk::{Talk, TalkOptions};
use common::text::several;

use crate::events::Event;
use crate::server::Server;
use crate::server::capacity::{Limits, spare_slots};

mod events;
mod server;

/// Accept connections into direct slots with one multishot accept
///
/// Each client gets the number of its slot and may stay as long as it likes. When all slots are taken,
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

    /// Lose clients, as a demonstration: no spare slots, and the accept goes on when all are taken
    #[arg(long)]
    naive: bool,

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
    // Before everything else, so that a signal cannot interrupt what follows.
    let mut signals = StopSignals::block()?;
    let listener = Listener::bind(options.listen)?;
    let (mut ring, dropped) = ring::build_best(&options.ring, ENTRIES)?;
    let granted = Granted::of(&ring);

    let limits = options.limits(spare_slots(granted.cq_entries))?;
    ring::make_room(limits.table);
    ring.submitter()
        .register_files_sparse(limits.table)
        .map_err(|error| ring::table_refusal(limits.table, &error))?;

    let mut talk = Talk::new(options.talk);
    announce(&mut talk, options, &listener, &granted, dropped, limits);
    Server::new(&mut ring, &listener, limits, talk).run(&mut signals)
}
// ANCHOR_END: run

impl Options {
    /// How large the table is, and which accept that allows.
    fn limits(&self, spare: u32) -> Result<Limits> {
        let (capacity, max) = (self.slots, self.max);
        if self.naive {
            let table = ring::table_size(capacity, 0)?;
            return Ok(Limits { table, capacity: u32::MAX, multishot: true, max });
        }
        let table = ring::table_size(capacity, spare)?;
        Ok(Limits { table, capacity, multishot: table - capacity >= spare, max })
    }
}

fn announce(
    talk: &mut Talk,
    options: &Options,
    listener: &Listener,
    granted: &Granted,
    dropped: Vec<&'static str>,
    limits: Limits,
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
    let slots = several(options.slots as usize, "slot");
    let spare = limits.table - options.slots;
    if options.naive {
        talk.explain(format_args!("table: {slots}, and none spare: late comers are lost"));
    } else if limits.multishot {
        talk.explain(format_args!("table: {slots}, and {spare} spare where late comers wait"));
    } else {
        talk.explain(format_args!(
            "table: {slots} and {spare} spare: RLIMIT_NOFILE leaves too little room for a \
             multishot accept, so clients are let in one by one (`ulimit -n {}` in this shell \
             first)",
            options.slots + spare_slots(granted.cq_entries)
        ));
    }
    let listening = Event::Listening {
        address: listener.address(),
        slots: options.slots,
        table: limits.table,
        accepting: if limits.multishot { "multishot" } else { "one by one" },
        sq_entries: granted.sq_entries,
        cq_entries: granted.cq_entries,
        dropped,
    };
    talk.always(format_args!("{listening}"), &listening);
    talk.explain(format_args!(
        "try: nc {} {} (a second terminal); Ctrl-C here to stop\n\
         (no client's address is shown: a multishot accept has room for one, and the \
         next client may overwrite it before it is read)\n",
        listener.address().ip(),
        listener.address().port()
    ));
}
