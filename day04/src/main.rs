//! Day 04: the event loop. Accept, receive, answer, close, with few system calls.
//!
//! A completion is a result, not readiness: what the loop learns from it decides the next
//! entries, and all entries of a turn go to the kernel in the one call that also waits.
//! Needs Linux 5.19; uses what later kernels add.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::{Parser, ValueEnum};
use common::buffers::MAX_BUFFERS;
use common::environment;
use common::listener::{self, Listener};
use common::queues::Queues;
use common::ring::{self, Granted, RingOptions};
use common::signals::StopSignals;
use common::slots::Slots;
use common::talk::{Talk, TalkOptions};

use crate::accept::Accepting;
use crate::admission::{Admission, Way};
use crate::close::Closing;
use crate::connection::Connection;
use crate::events::{Counts, Event};
use crate::groups::Groups;
use crate::parking::Parking;
use crate::receive::Receiving;
use crate::server::Server;
use crate::stop::Stopping;
use crate::timeouts::Timeouts;

mod accept;
mod admission;
mod close;
mod connection;
mod events;
mod groups;
#[cfg(test)]
#[path = "../tests/unit/no_allocation.rs"]
mod no_allocation;
mod parking;
mod receive;
mod reply;
mod server;
mod stop;
mod timeouts;

/// Answer requests over TCP with one event loop on one ring
///
/// By default it prints each request, answers `ack` and a zero byte, and closes. Ctrl-C
/// stops it: what has arrived from clients that were let in is answered first.
#[derive(Parser, Clone, Debug)]
#[command(version)]
struct Options {
    /// Where to listen; port 0 takes a free port and prints it
    #[arg(long, value_name = "HOST:PORT", default_value = listener::DEFAULT_ADDRESS, value_parser = listener::parse_address)]
    listen: SocketAddr,

    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Conversation::Ack)]
    reply: Conversation,

    /// Clients that are served at a time; 1024, or as many as RLIMIT_NOFILE allows
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    slots: Option<u32>,

    /// Receive buffers that all clients share, and as many for multishots; rounded up to a
    /// power of two
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u16).range(1..=i64::from(MAX_BUFFERS)))]
    buffers: u16,

    /// Bytes in a receive buffer
    #[arg(long, value_name = "BYTES", default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    buffer_size: u32,

    /// Close a client that sends nothing and takes no byte of a reply for this long; 0 never does
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds, allow_negative_numbers = true)]
    idle_timeout: Duration,

    /// Shut each socket down before its slot is closed, as kernels up to 6.12 need
    #[arg(long)]
    shutdown_first: bool,

    /// Stop after this many connections
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,

    #[command(flatten)]
    ring: RingOptions,

    #[command(flatten)]
    talk: TalkOptions,
}

/// The two conversations that the server knows.
#[derive(ValueEnum, Clone, Copy, Debug, PartialEq, Eq)]
enum Conversation {
    /// The four bytes `ack\0`, then close
    Ack,
    /// Every byte back, until the client ends
    Echo,
}

/// Slots unless `--slots` says otherwise.
const SLOTS: u32 = 1024;
/// The size of the submission queue unless `--entries` says otherwise: about as many clients
/// as one turn serves.
const ENTRIES: u32 = 256;
/// Completion queue entries for each submission queue entry: a multishot accept completes
/// more often than it is submitted.
const CQ_PER_SQ: u32 = 4;

fn main() -> ExitCode {
    environment::report("day04", serve(&Options::parse(), |_| ()))
}

// ANCHOR: run
/// Serves until it is stopped; `ready` is called once with the address, before the first
/// client is let in.
fn serve(options: &Options, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let mut signals = StopSignals::block()?;
    let listener = Listener::bind(options.listen)?;

    let slots = options.slots.unwrap_or(SLOTS.min(ring::largest_table()));
    let (mut ring, dropped) = ring::build_best(&ring_options(options, slots), ENTRIES)?;
    let granted = Granted::of(&ring);
    let table = ring::table_size(slots, Admission::spare(granted.cq_entries))?;
    ring::register_slots(&ring.submitter(), table)?;
    let count = options.buffers.next_power_of_two();
    let groups = Groups::register(&ring.submitter(), count, options.buffer_size)?;

    let mut closing = Closing::ask_the_kernel()?;
    closing.late |= options.shutdown_first;

    let mut talk = Talk::new(options.talk);
    let admission = Admission::new(slots, table, granted.cq_entries);
    announce(&mut talk, options, &granted, &dropped, (slots, table), &listener);
    ready(listener.address());
    let mut queues = Queues::new(&mut ring);
    queues.register_ring_fd();
    let server = Server {
        queues,
        slots: Slots::new(table),
        connections: (0..table).map(|_| Connection::new()).collect(),
        now: Instant::now(),
        soon: 0,
        counts: Counts::default(),
        talk,
        accepting: Accepting {
            listener: &listener,
            admission,
            capacity: slots,
            max: options.max,
            waiting: VecDeque::with_capacity(table as usize),
        },
        receiving: Receiving { groups, conversation: options.reply, closed: 0 },
        parking: Parking { queue: VecDeque::with_capacity(table as usize) },
        closing,
        timeouts: Timeouts { idle: options.idle_timeout, look_at: None },
        stopping: Stopping {
            signals: &mut signals,
            accepted_all: false,
            signalled: false,
            grace: None,
            reading: false,
        },
    };
    server.run()
}
// ANCHOR_END: run

/// Completion queue entries, where the user names none: several for each submission queue
/// entry, but so few that the spare slots of a multishot accept fit the registered table.
fn ring_options(options: &Options, slots: u32) -> RingOptions {
    let mut ring = options.ring.clone();
    let entries = ring.entries.unwrap_or(ENTRIES).clamp(1, ring::MAX_ENTRIES);
    ring.cq_entries = ring.cq_entries.or_else(|| {
        let room = ring::largest_table().saturating_sub(slots);
        let sizes = [CQ_PER_SQ, CQ_PER_SQ / 2, 1].map(|times| entries.saturating_mul(times));
        let fits = |cq: &u32| Admission::spare(cq.next_power_of_two()) <= room;
        let cq = sizes.into_iter().find(fits).unwrap_or(entries * CQ_PER_SQ);
        Some(cq.min(ring::MAX_CQ_ENTRIES))
    });
    ring
}

fn parse_seconds(text: &str) -> Result<Duration, String> {
    /// Ten years: longer than any server runs, and no overflow when added to a time.
    const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let wrong = "a number of seconds from 0 up, such as 30 or 0.5";
    let seconds: f64 = text.parse().map_err(|_| wrong)?;
    let time = Duration::try_from_secs_f64(seconds).map_err(|_| wrong)?;
    Ok(if time.is_zero() { NEVER } else { time.min(NEVER) })
}

fn announce(
    talk: &mut Talk,
    options: &Options,
    granted: &Granted,
    dropped: &[&'static str],
    (slots, table): (u32, u32),
    listener: &Listener,
) {
    let what = match options.reply {
        Conversation::Ack => "every request is answered with ack and a zero byte, then closed",
        Conversation::Echo => "every byte comes back, until the client ends",
    };
    talk.explain(format_args!("day 04 · the event loop: {what}\n"));
    let (sq_entries, cq_entries) = (granted.sq_entries, granted.cq_entries);
    talk.explain(format_args!(
        "ring: {sq_entries} submission and {cq_entries} completion queue entries; {slots} slots; \
         two groups of {} buffers of {} bytes",
        options.buffers.next_power_of_two(),
        options.buffer_size
    ));
    let way = Admission::new(slots, table, cq_entries).way();
    if way == Way::OneByOne {
        talk.explain(format_args!(
            "RLIMIT_NOFILE leaves too little room for a multishot accept, so clients are let in \
             one by one (`ulimit -n {}` in this shell first)",
            slots + Admission::spare(cq_entries)
        ));
    }
    if !dropped.is_empty() {
        talk.explain(format_args!("this kernel refused, so we do without: {}", dropped.join(", ")));
    }
    if let Some(trouble) = ring::known_trouble(&environment::kernel_release()) {
        talk.explain(format_args!("careful: {trouble}"));
    }
    let address = listener.address();
    let dropped = dropped.to_vec();
    let listening =
        Event::Listening { address, slots, table, way, sq_entries, cq_entries, dropped };
    talk.always(format_args!("{listening}"), &listening);
    // An echo ends when the client does. Debian's nc ends its side only with -N.
    let ends = if options.reply == Conversation::Echo { "-N " } else { "" };
    talk.explain(format_args!(
        "try: echo hello | nc {ends}{} {} (a second terminal); Ctrl-C here to stop\n",
        address.ip(),
        address.port()
    ));
}
