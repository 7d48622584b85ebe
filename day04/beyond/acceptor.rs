//! An echo server of several threads, with a ring each, that share nothing: one ring accepts, and
//! sends every client to the ring with the fewest.
//!
//! ```text
//! cargo run -p day04 --example acceptor -- --threads 2
//! nc -N 127.0.0.1 4242                           # in another terminal: it echoes
//! ```
//!
//! An accepted client is in the acceptor's only slot. MSG_RING puts it into a slot of a worker's
//! table as well, and posts a completion there, which wakes the worker. A worker whose client has
//! left reports that by MSG_RING, too. Nothing is locked. It needs Linux 6.0.
//!
//! No client is lost. The acceptor accepts only while a worker has room; the others wait in the
//! backlog. At Ctrl-C each client gets the echo of what has arrived, and then its end.
//!
//! What it does not do:
//! - A client that sends and never reads keeps its slot. Then a second Ctrl-C ends the server.
//! - A client stays with its worker, however busy that is: few clients can be much work.
//! - It moves one client at a time, with three entries. A multishot accept would save one of them,
//!   and would go on accepting when all tables are full.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, RawFd};
use std::process::ExitCode;
use std::ptr::null_mut;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use std::{io, thread};

use anyhow::{Context, Result, bail};
use clap::Parser;
use common::environment;
use common::listener::{self, Listener};
use common::ring::{self, RingOptions};
use common::signals::StopSignals;
use common::talk::{Talk, TalkOptions};
use io_uring::squeue::{self, Flags};
use io_uring::types::{CancelBuilder, DestinationSlot, Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode};
use serde_json::json;

mod worker;

const ENTRIES: u32 = 256;
/// A signal this long after the first one is a second one: a terminal and `cargo xtask trace` may
/// both pass on the same Ctrl-C.
const IMPATIENT: Duration = Duration::from_secs(1);

// `user_data` is one of these, and in its lower half a slot, or a worker's number. A message
// arrives with the `user_data` that its sender chose, so all rings share the list.
const SIGNAL: u64 = 1 << 32;
const CANCEL: u64 = 2 << 32;
const ACCEPT: u64 = 3 << 32;
const HAND: u64 = 4 << 32;
const CLOSE: u64 = 5 << 32;
const RECV: u64 = 6 << 32;
const SEND: u64 = 7 << 32;
const SHUTDOWN: u64 = 8 << 32;
const TELL: u64 = 9 << 32;
// Messages:
const CLIENT: u64 = 10 << 32; // to a worker; the result is the client's slot there
const STOP: u64 = 11 << 32; // to a worker: no client comes after this
const LEFT: u64 = 12 << 32; // to the acceptor, about a client of this worker

/// Accepts in one ring, and serves in several
#[derive(Parser)]
struct Options {
    /// Where to listen; port 0 takes a free port and prints it
    #[arg(long, value_name = "HOST:PORT", default_value = listener::DEFAULT_ADDRESS, value_parser = listener::parse_address)]
    listen: SocketAddr,

    /// Threads that serve, each with a ring of its own; without it one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    threads: Option<u8>,

    /// Clients that a thread serves at a time
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=1 << 16))]
    slots: u32,

    #[command(flatten)]
    talk: TalkOptions,
}

fn main() -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?; // the threads inherit that
    let listener = Listener::bind(options.listen)?;
    let ring = ring::build_best(&RingOptions::default(), ENTRIES)?.0;
    ring::register_slots(&ring.submitter(), 1)?;
    let (acceptor, slots) = (ring.as_raw_fd(), options.slots);
    let threads = options.threads.map_or_else(environment::cpus, usize::from);
    let mut workers = Vec::new();
    for number in 0..threads as u64 {
        let (tell, told) = mpsc::sync_channel(1);
        let thread = thread::spawn(move || worker::work(acceptor, number, slots, &tell));
        let ring = told.recv().context("a worker did not start")?;
        workers.push(Peer { ring, thread, clients: 0, served: 0 });
    }
    let mut talk = Talk::new(options.talk);
    let address = listener.address();
    let event = json!({"event": "listening", "address": address.to_string(), "workers": threads});
    talk.always(format_args!("listening on {address}; workers: {threads}"), event);
    Acceptor { ring, listener, signals, workers, slots, armed: false, stopping: None, talk }.serve()
}

/// Queues entries, in one piece: a chain must not be cut by a submit. If the queue has no room
/// for them, what is in it is submitted first.
fn push<const N: usize>(ring: &mut IoUring, entries: [(squeue::Entry, u64); N]) -> Result<()> {
    let entries = entries.map(|(entry, user_data)| entry.user_data(user_data));
    // SAFETY: only the acceptor's READ and a worker's RECV and SEND point at memory, which is never
    // freed. A buffer is used by one operation at a time, and by the worker in between.
    while unsafe { ring.submission().push_multiple(&entries) }.is_err() {
        ring.submit()?;
    }
    Ok(())
}

fn next_completion(ring: &mut IoUring) -> Option<cqueue::Entry> {
    ring.completion().next()
}

/// Submits what is queued, and waits for a completion.
fn wait(ring: &IoUring) -> Result<()> {
    match ring.submit_and_wait(1) {
        Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error.into()),
        _ => Ok(()),
    }
}

/// The acceptor's record of a worker.
struct Peer {
    ring: RawFd,
    thread: thread::JoinHandle<()>,
    /// Its clients, and the one that is on its way to it.
    clients: u32,
    served: u64,
}

struct Acceptor {
    ring: IoUring,
    listener: Listener,
    signals: StopSignals,
    workers: Vec<Peer>,
    /// The most clients of a worker.
    slots: u32,
    /// The chain of `add_accept` is on its way.
    armed: bool,
    /// Since the first signal.
    stopping: Option<Instant>,
    talk: Talk,
}

impl Acceptor {
    // ANCHOR: serve
    fn serve(mut self) -> Result<()> {
        self.add_signal()?;
        while self.armed || self.stopping.is_none() {
            if !self.armed {
                self.add_accept()?;
            }
            self.turn()?;
        }
        for worker in 0..self.workers.len() {
            let stop = opcode::MsgRingData::new(Fd(self.workers[worker].ring), 0, STOP, None);
            push(&mut self.ring, [(stop.build().flags(Flags::SKIP_SUCCESS), TELL)])?;
        }
        self.ring.submit()?;
        while self.workers.iter().any(|worker| worker.clients > 0) {
            self.turn()?;
        }
        let served: Vec<u64> = self.workers.iter().map(|worker| worker.served).collect();
        for worker in self.workers {
            worker.thread.join().expect("a worker does not panic");
        }
        let event = json!({"event": "summary", "served": served});
        self.talk.always(format_args!("clients that each worker had: {served:?}"), event);
        Ok(())
    }
    // ANCHOR_END: serve

    fn turn(&mut self) -> Result<()> {
        wait(&self.ring)?;
        while let Some(completion) = next_completion(&mut self.ring) {
            let (result, worker) = (completion.result(), completion.user_data() as u32 as usize);
            match completion.user_data() >> 32 << 32 {
                SIGNAL => self.handle_signal()?,
                ACCEPT => self.handle_accept(worker, result)?,
                CLOSE => self.handle_handed(worker, result)?,
                LEFT => self.workers[worker].clients -= 1,
                CANCEL => {} // The accept completes, too.
                HAND => done(result).context("MSG_RING with a client, which needs Linux 6.0")?,
                _ => done(result).context("MSG_RING to a worker")?,
            }
        }
        Ok(())
    }

    /// Accepts a client, puts it into the ring of the worker with the fewest, and lets go of it:
    /// one chain, one submit, and one completion, of the entry that failed or of the last.
    fn add_accept(&mut self) -> Result<()> {
        let workers = self.workers.iter_mut().enumerate();
        let (number, worker) =
            workers.min_by_key(|(_, worker)| worker.clients).expect("there is a worker");
        if worker.clients == self.slots {
            return Ok(()); // All are full. The next message says that there is room again.
        }
        worker.clients += 1;
        // ANCHOR: accept
        let (number, silent_link) = (number as u64, Flags::IO_LINK | Flags::SKIP_SUCCESS);
        let slot = DestinationSlot::try_from_slot_target(0).expect("a small number");
        let accept = opcode::Accept::new(Fd(self.listener.fd()), null_mut(), null_mut())
            .file_index(Some(slot))
            .build();
        let anywhere = DestinationSlot::auto_target();
        let hand = opcode::MsgRingSendFd::new(Fd(worker.ring), Fixed(0), anywhere, CLIENT).build();
        // The worker has its own slot for the file. While ours is open, the file stays open, too.
        let close = opcode::Close::new(Fixed(0)).build();
        let chain = [
            (accept.flags(silent_link), ACCEPT | number),
            (hand.flags(silent_link), HAND | number),
            (close, CLOSE | number),
        ];
        push(&mut self.ring, chain)?;
        // ANCHOR_END: accept
        self.armed = true;
        Ok(())
    }

    fn handle_handed(&mut self, number: usize, result: i32) -> Result<()> {
        done(result).context("CLOSE")?;
        self.armed = false;
        self.workers[number].served += 1;
        let client: u64 = self.workers.iter().map(|worker| worker.served).sum();
        let event = json!({"event": "handed_over", "client": client, "worker": number});
        self.talk.detail(format_args!("client {client} goes to worker {number}"), event);
        Ok(())
    }

    /// The accept failed. The entries behind it in the chain have not run, and post nothing.
    fn handle_accept(&mut self, number: usize, result: i32) -> Result<()> {
        self.armed = false;
        self.workers[number].clients -= 1;
        match -result {
            // We are stopping, or the client went away before it was accepted.
            libc::ECANCELED | libc::ECONNABORTED => Ok(()),
            _ => done(result).context("ACCEPT"),
        }
    }

    fn add_signal(&mut self) -> Result<()> {
        let (record, length) = self.signals.record();
        let read = opcode::Read::new(Fd(self.signals.fd()), record, length);
        push(&mut self.ring, [(read.build(), SIGNAL)])
    }

    fn handle_signal(&mut self) -> Result<()> {
        self.add_signal()?;
        if let Some(since) = self.stopping {
            if since.elapsed() > IMPATIENT {
                bail!("stopped by a second signal: some clients were cut off");
            }
            return Ok(());
        }
        self.stopping = Some(Instant::now());
        let accept = CancelBuilder::fd(Fd(self.listener.fd()));
        push(&mut self.ring, [(opcode::AsyncCancel2::new(accept).build(), CANCEL)])
    }
}

/// The result of an operation that must succeed.
fn done(result: i32) -> Result<()> {
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result).into());
    }
    Ok(())
}
