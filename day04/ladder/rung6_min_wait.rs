//! Rung 6: min-wait. The wait gathers completions for a moment before it returns.
//!
//! ```text
//! cargo run -p day04 --example rung6_min_wait -- --reply echo --min-wait 200
//! ```
//!
//! The difference to rung 4 (rung 5 is a branch of its own) is the wait. It asks for one
//! completion from every client, and gives them `--min-wait` microseconds for it; after that
//! a single one is enough. Clients who send at about the same time share a call, whatever the
//! order in which they come. With one client nothing is gathered: one call a request.
//!
//! What it costs: a client waits for the slower ones, up to the whole min-wait; idle clients,
//! who send nothing, make that the rule. Day 04 pays less: it learns from each wait how many
//! to ask for in the next (`batch.rs`). Needs Linux 6.12; without it this is rung 4, and
//! says so.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

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
use serde_json::json;

use crate::scaffold::{ACK, BUFFER, Basics, Done, ENTRIES, Reply, Rung};

mod scaffold;

/// Rung 6 of the ladder: a wait that gathers completions
#[derive(Parser)]
struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    /// RUNG 6: microseconds that the wait gathers completions for
    #[arg(long, value_name = "US", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    min_wait: u32,

    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung6_min_wait", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    let (mut ring, _) = ring::build_best(&RingOptions::default(), ENTRIES)?;
    ring::register_slots(&ring.submitter(), options.basics.slots)?;

    let mut talk = Talk::new(options.basics.talk);
    // RUNG 6: a feature bit says whether the kernel knows it (IORING_FEAT_MIN_TIMEOUT).
    let gathers = ring.params().is_feature_min_timeout();
    let title = "rung 6 · a wait that gathers completions";
    let details = json!({"min_wait": gathers.then_some(options.min_wait)});
    scaffold::announce(&mut talk, title, listener.address(), options.reply, details);
    if !gathers {
        let note = "this kernel has no min-wait (6.12): the wait ends at the first completion";
        talk.explain(format_args!("{note}"));
    }

    let taken = AtomicU64::new(0);
    let mut server = Server {
        rung: Rung::new(&mut ring, &listener, &signals, &taken, &options.basics),
        clients: forever((0..options.basics.slots).map(|_| Client::new()).collect()),
        reply: options.reply,
        min_wait: gathers.then_some(Duration::from_micros(options.min_wait.into())),
    };
    server.serve()?;
    scaffold::summarise(&mut talk, server.rung.counts(), json!({}));
    Ok(())
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
    min_wait: Option<Duration>,
}

impl Server<'_> {
    fn serve(&mut self) -> Result<()> {
        while self.rung.goes_on()? {
            self.wait()?;
            while let Some(done) = self.rung.next()? {
                self.handle(done)?;
            }
        }
        Ok(())
    }

    /// RUNG 6: one completion a client, or fewer when time is up, but never none.
    fn wait(&mut self) -> Result<()> {
        let patience = self.rung.patience();
        let clients = self.rung.slots.held().clamp(1, ENTRIES);
        let queues = &mut self.rung.queues;
        let waited = match self.min_wait {
            Some(min_wait) => queues.submit_and_gather(clients, min_wait, patience),
            None => queues.submit_and_wait(1, patience),
        };
        waited.context("waiting")
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
