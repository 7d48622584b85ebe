//! Rung 7: a bounded spin before sleeping.
//!
//! ```text
//! cargo run -p day04 --example rung7_spin -- --reply echo --spin 50
//! ```
//!
//! The differences to rung 4:
//! - The turn submits without waiting, and then looks at the completion queue, which is
//!   memory, for up to `--spin` microseconds. Only when nothing has come does it go to sleep.
//!   Going to sleep and being woken take longer than the answer of a near client, so each
//!   request is faster, though it is still a call (the one that submits), and two when the
//!   spin was in vain. Counting calls is not everything.
//! - The ring does without COOP_TASKRUN and DEFER_TASKRUN. With the second a program that spins
//!   sees no completion at all, with the first none before the next interrupt.
//!
//! What it costs: the processor while it spins, and nobody else has it then. Where clients
//! are far away or slow, every spin is in vain.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use common::environment;
use common::listener::Listener;
use common::memory::forever;
use common::ring::{self, RingOptions, SetupFlags};
use common::signals::StopSignals;
use common::talk::Talk;
use common::token::Op;
use io_uring::squeue::Flags;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode};
use serde_json::json;

use crate::scaffold::{ACK, BUFFER, Basics, Done, ENTRIES, Reply, Rung};

mod scaffold;

/// Rung 7 of the ladder: a bounded spin before sleeping
#[derive(Parser)]
struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    /// RUNG 7: microseconds to look for a completion before going to sleep
    #[arg(long, value_name = "US", default_value_t = 50)]
    spin: u32,

    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung7_spin", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    // RUNG 7: no task-run flags: completions interrupt the program, wherever it is.
    let (sizes, flags) = (RingOptions::default(), SetupFlags::default());
    let mut ring = ring::build(&sizes, ENTRIES, flags)
        .map_err(|error| ring::refusal(&sizes, ENTRIES, flags, &error))?;
    ring::register_slots(&ring.submitter(), options.basics.slots)?;

    let mut talk = Talk::new(options.basics.talk);
    let title = "rung 7 · a bounded spin before sleeping";
    scaffold::announce(&mut talk, title, listener.address(), options.reply, json!({}));

    let taken = AtomicU64::new(0);
    let mut server = Server {
        rung: Rung::new(&mut ring, &listener, &signals, &taken, &options.basics),
        clients: forever((0..options.basics.slots).map(|_| Client::new()).collect()),
        reply: options.reply,
        spin: Duration::from_micros(options.spin.into()),
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
    spin: Duration,
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

    /// RUNG 7: submits, looks for a while, and sleeps if that was in vain.
    fn wait(&mut self) -> Result<()> {
        self.rung.queues.submit_and_wait(0, None).context("submitting")?;
        let start = Instant::now();
        while !self.rung.queues.has_completion() && start.elapsed() < self.spin {
            std::hint::spin_loop();
        }
        // No system call if a completion is there.
        self.rung.queues.submit_and_wait(1, self.rung.patience()).context("waiting")
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
