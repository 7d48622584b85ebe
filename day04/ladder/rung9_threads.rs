//! Rung 9: one ring a thread, and one port for all of them.
//!
//! ```text
//! cargo run -p day04 --example rung9_threads -- --reply echo --threads 2
//! ```
//!
//! The difference to rung 4 (a spinning thread or a poller a ring would want processors of
//! its own): every thread has a ring, a table and a listening socket, all bound to one port
//! with SO_REUSEPORT. The kernel gives each client to one of them, by a hash of its address,
//! and there it stays. The threads share nothing that a request touches. The number of calls
//! is that of rung 4; there are more processors to make them.
//!
//! What it costs: the hash knows nothing of load, so one thread can be busy while another
//! sleeps, and with few clients that is the rule. Fewer clients a ring also means fewer
//! completions a turn, so more calls a request than with one ring.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::thread::{self, ScopedJoinHandle};

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::listener::Listener;
use common::memory::forever;
use common::ring::{self, RingOptions};
use common::signals::StopSignals;
use common::talk::Talk;
use common::token::Op;
use io_uring::squeue::Flags;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::scaffold::{ACK, BUFFER, Basics, Counts, Done, ENTRIES, Reply, Rung};

mod scaffold;

/// Rung 9 of the ladder: one ring a thread, one port for all
#[derive(Parser)]
struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    /// RUNG 9: threads, each with a ring of its own; without it one for each processor
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..))]
    threads: Option<u8>,

    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung9_threads", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?; // the threads inherit that
    let threads = options.threads.map_or_else(environment::cpus, usize::from);
    // RUNG 9: port 0 takes a free port once, and the others are bound to that one.
    let mut listeners = vec![Listener::bind_shared(options.basics.listen)?];
    let address = listeners[0].address();
    for _ in 1..threads {
        listeners.push(Listener::bind_shared(address)?);
    }
    let house = House { options, listeners, signals, taken: AtomicU64::new(0) };
    let mut talk = Talk::new(options.basics.talk);

    // RUNG 9: this thread is the first of them.
    let counts = thread::scope(|scope| -> Result<Vec<Counts>> {
        let others: Vec<ScopedJoinHandle<'_, Result<Counts>>> = house.listeners[1..]
            .iter()
            .map(|listener| scope.spawn(|| house.thread(listener, || ())))
            .collect();
        let first = house.thread(&house.listeners[0], || {
            let title = format!("rung 9 · {threads} threads, a ring each");
            let details = json!({"threads": threads});
            scaffold::announce(&mut talk, &title, address, options.reply, details);
        });
        let others = others.into_iter().map(|thread| match thread.join() {
            Ok(counts) => counts,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        std::iter::once(first).chain(others).collect()
    })?;

    let each: Vec<_> = counts
        .iter()
        .map(|counts| json!({"connections": counts.connections, "enters": counts.enters}))
        .collect();
    let sum = counts.into_iter().fold(Counts::default(), Counts::plus);
    scaffold::summarise(&mut talk, sum, json!({"threads": each}));
    Ok(())
}

/// RUNG 9: what the threads share.
struct House<'a> {
    options: &'a Options,
    listeners: Vec<Listener>,
    signals: StopSignals,
    taken: AtomicU64,
}

impl House<'_> {
    /// RUNG 9: a thread from its ring to its end. Whoever fails stops the others too.
    fn thread(&self, listener: &Listener, ready: impl FnOnce()) -> Result<Counts> {
        let result = self.serve(listener, ready);
        if result.is_err() {
            // The signal is blocked: it only makes the signalfd readable, for all rings.
            let _ = kill(Pid::this(), Signal::SIGTERM);
        }
        result
    }

    fn serve(&self, listener: &Listener, ready: impl FnOnce()) -> Result<Counts> {
        let Options { basics, reply, .. } = self.options;
        // RUNG 9: made by the thread that uses it (IORING_SETUP_SINGLE_ISSUER).
        let (mut ring, _) = ring::build_best(&RingOptions::default(), ENTRIES)?;
        ring::register_slots(&ring.submitter(), basics.slots)?;
        ready();
        let mut server = Server {
            rung: Rung::new(&mut ring, listener, &self.signals, &self.taken, basics),
            clients: forever((0..basics.slots).map(|_| Client::new()).collect()),
            reply: *reply,
        };
        while server.rung.goes_on()? {
            server.turn()?;
            if server.rung.is_stopping() && !server.rung.is_cut_off() {
                // RUNG 9: after the last client of `--max` the other threads may let in none.
                self.listeners.iter().for_each(Listener::shut);
            }
        }
        Ok(server.rung.counts())
    }
}

struct Client {
    /// The kernel's while anything is in flight.
    buffer: [u8; BUFFER],
    /// What is still to be sent of it, as far as we know.
    unsent: Range<usize>,
    /// It has asked for something.
    asked: bool,
}

impl Client {
    fn new() -> Client {
        Client { buffer: [0; BUFFER], unsent: 0..0, asked: false }
    }
}

struct Server<'a> {
    rung: Rung<'a>,
    clients: &'static mut Vec<Client>,
    reply: Reply,
}

impl Server<'_> {
    fn turn(&mut self) -> Result<()> {
        self.rung.queues.submit_and_wait(1, self.rung.patience()).context("waiting")?;
        while let Some(done) = self.rung.next()? {
            self.handle(done)?;
        }
        Ok(())
    }

    fn handle(&mut self, done: Done) -> Result<()> {
        let client = &mut self.clients[done.slot as usize];
        if done.op == Op::Recv {
            // It has started, so the send before it was whole.
            self.rung.counts.bytes_out += client.unsent.len() as u64;
            client.unsent = 0..0;
        }
        match (done.op, done.result) {
            (Op::Accept, _) => {
                client.asked = false;
                client.unsent = 0..0;
                self.receive(done.slot)
            }
            (Op::Recv, 1..) => {
                self.rung.count_received(done);
                client.asked = true;
                let more = cqueue::sock_nonempty(done.flags);
                match self.reply {
                    Reply::Ack if more => self.receive(done.slot),
                    Reply::Ack => self.acknowledge(done.slot),
                    Reply::Echo => {
                        client.unsent = 0..done.result as usize;
                        self.send_and_receive(done.slot)
                    }
                }
            }
            // The client's end, after the last part of a request.
            (Op::Recv, 0) if self.reply == Reply::Ack && client.asked => {
                self.acknowledge(done.slot)
            }
            // A send completes only if it was not whole, and has broken its chain.
            (Op::Send, 1..) if self.reply == Reply::Echo => {
                self.rung.counts.bytes_out += done.result as u64;
                client.unsent.start += done.result as usize;
                self.send_and_receive(done.slot)
            }
            _ => self.rung.ended(done),
        }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let buffer = &mut self.clients[slot as usize].buffer;
        let recv = opcode::Recv::new(Fixed(slot), buffer.as_mut_ptr(), BUFFER as u32).build();
        self.rung.push(slot, Op::Recv, recv)
    }

    /// The receive starts when all is sent, into the buffer that was sent from.
    fn send_and_receive(&mut self, slot: u32) -> Result<()> {
        let Client { buffer, unsent, .. } = &mut self.clients[slot as usize];
        let start = buffer.as_mut_ptr();
        let rest = &buffer[unsent.clone()];
        // MSG_WAITALL makes a send that is not whole a failure, which breaks the chain.
        let send = opcode::Send::new(Fixed(slot), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
        let recv = opcode::Recv::new(Fixed(slot), start, BUFFER as u32).build();
        self.rung.push_chain(slot, &[(Op::Send, send), (Op::Recv, recv)])
    }

    /// The answer, our end and the slot's end.
    fn acknowledge(&mut self, slot: u32) -> Result<()> {
        let send = opcode::Send::new(Fixed(slot), ACK.as_ptr(), ACK.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build()
            .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
        let [shutdown, close] = scaffold::farewell(slot);
        self.rung.counts.bytes_out += ACK.len() as u64;
        self.rung.push_chain(slot, &[(Op::Send, send), shutdown, close])
    }
}
