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

use crate::accept::{Accept, Accepting, spare_slots};
use crate::close::Closing;
use crate::connection::Connection;
use crate::events::{Counts, Event, Listening};
use crate::groups::Groups;
use crate::parking::Parking;
use crate::receive::Receiving;
use crate::sandbox::Sandbox;
use crate::server::Server;
use crate::stop::{Ending, Stopping};
use crate::timeouts::Timeouts;

mod accept;
mod close;
mod connection;
mod events;
mod groups;
mod later_rings;
#[cfg(test)]
#[path = "../tests/unit/no_allocation.rs"]
mod no_allocation;
mod parking;
mod receive;
mod reply;
mod sandbox;
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

    /// Seconds after which to close a client that sends nothing and reads nothing; 0: never
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = parse_seconds, allow_negative_numbers = true)]
    idle_timeout: Duration,

    /// Shut each socket down before its slot is closed, as kernels up to 6.12 need
    #[arg(long)]
    shutdown_first: bool,

    /// Give up whatever io_uring can do that this server does not use
    #[arg(long)]
    sandbox: bool,

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

fn main() -> ExitCode {
    environment::report("day04", serve(&Options::parse(), |_| ()))
}

/// Serves until it is stopped; `ready` is called once with the address, before the first
/// client is let in.
fn serve(options: &Options, ready: impl FnOnce(SocketAddr)) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.listen)?;

    let slots = options.slots.unwrap_or(SLOTS.min(ring::largest_table()));
    let (mut ring, dropped) = ring::build_best(&options.ring(), ENTRIES)?;
    let granted = Granted::of(&ring);
    let spare = spare_slots(granted.cq_entries);
    let table = ring::table_size(slots, spare)?;
    let multishot = table - slots >= spare;
    ring::register_slots(&ring.submitter(), table)?;
    let count = options.buffers.next_power_of_two();
    let groups = Groups::register(&ring.submitter(), count, options.buffer_size)?;
    let mut closing = Closing::ask_the_kernel()?;
    closing.late |= options.shutdown_first;
    let sandbox = options.sandbox.then(|| Sandbox::lock(&ring.submitter())).transpose()?;

    let mut talk = Talk::new(options.talk);
    let listening = Listening {
        address: listener.address(),
        slots,
        table,
        accepting: if multishot { "multishot" } else { "one by one" },
        sq_entries: granted.sq_entries,
        cq_entries: granted.cq_entries,
        dropped,
        sandbox,
    };
    announce(&mut talk, options, listening);
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
            listener,
            accept: Accept::Idle,
            capacity: slots,
            multishot,
            max: options.max,
            waiting: VecDeque::with_capacity(table as usize),
        },
        receiving: Receiving { groups, conversation: options.reply, closed: 0 },
        parking: Parking { queue: VecDeque::with_capacity(table as usize) },
        closing,
        timeouts: Timeouts { idle: options.idle_timeout, look_at: None },
        stopping: Stopping { signals, ending: Ending::No },
    };
    server.run()
}

impl Options {
    /// The user's options, with several completion queue entries for each submission queue entry:
    /// a multishot completes more often than it is submitted.
    fn ring(&self) -> RingOptions {
        let mut ring = self.ring.clone();
        let entries = ring.entries.unwrap_or(ENTRIES);
        ring.cq_entries.get_or_insert(entries.saturating_mul(4).min(ring::MAX_CQ_ENTRIES));
        ring.disabled = self.sandbox;
        ring
    }
}

fn parse_seconds(text: &str) -> Result<Duration, &'static str> {
    /// Ten years: longer than any server runs, and no overflow when added to a time.
    const NEVER: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let time = time.ok_or("a number of seconds from 0 up, such as 30 or 0.5")?;
    Ok(if time.is_zero() { NEVER } else { time.min(NEVER) })
}

fn announce(talk: &mut Talk, options: &Options, listening: Listening) {
    let (what, nc) = match options.reply {
        Conversation::Ack => {
            ("every request is answered with ack and a zero byte, then closed", "nc")
        }
        // An echo ends when the client does. Debian's nc ends its side only with -N.
        Conversation::Echo => ("every byte comes back, until the client ends", "nc -N"),
    };
    talk.explain(format_args!("day 04 · the event loop: {what}\n"));
    let Listening { address, slots, sq_entries, cq_entries, .. } = listening;
    talk.explain(format_args!(
        "ring: {sq_entries} submission and {cq_entries} completion queue entries; {slots} slots; \
         two groups of {} buffers of {} bytes",
        options.buffers.next_power_of_two(),
        options.buffer_size
    ));
    if listening.table - slots < spare_slots(cq_entries) {
        talk.explain(format_args!(
            "RLIMIT_NOFILE leaves too little room for a multishot accept, so clients are let in \
             one by one (`ulimit -n {}` in this shell first)",
            slots + spare_slots(cq_entries)
        ));
    }
    if !listening.dropped.is_empty() {
        let dropped = listening.dropped.join(", ");
        talk.explain(format_args!("this kernel refused, so we do without: {dropped}"));
    }
    if let Some(sandbox) = &listening.sandbox {
        talk.explain(format_args!("{sandbox}"));
    }
    if let Some(trouble) = ring::known_trouble(&environment::kernel_release()) {
        talk.explain(format_args!("careful: {trouble}"));
    }
    let event = Event::Listening(listening);
    talk.always(format_args!("{event}"), &event);
    talk.explain(format_args!(
        "try: echo hello | {nc} {} {} (a second terminal); Ctrl-C here to stop\n",
        address.ip(),
        address.port()
    ));
}
