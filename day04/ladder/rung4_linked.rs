//! Rung 4: linked entries. The send and the receive that follows it are one chain.
//!
//! ```text
//! cargo run -p day04 --example rung4_linked -- --reply echo
//! ```
//!
//! The differences to rung 3:
//! - The kernel starts the next receive by itself when the send has succeeded. The send's own
//!   completion is skipped: that the receive completed says that everything was sent. So the
//!   wait ends when the client has something new, and not before: with one client *one* call
//!   a request (echo). Day 04 comes to the same by counting: its wait is for one completion
//!   more than it has sends under way. An ack links send, shutdown and close: three calls a
//!   connection.
//! - A multishot receive never ends, so nothing could be linked to it: receives are single
//!   again. And since the chain never sends and receives at a time, both use one buffer, the
//!   client's own, as on rung 2. That is the price: a silent client ties it up.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;

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

/// Rung 4 of the ladder: the send and the next receive in one chain
#[derive(Parser)]
struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung4_linked", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    let (mut ring, _) = ring::build_best(&RingOptions::default(), ENTRIES)?;
    ring::register_slots(&ring.submitter(), options.basics.slots)?;

    let mut talk = Talk::new(options.basics.talk);
    let title = "rung 4 · the send and the next receive in one chain";
    scaffold::announce(&mut talk, title, listener.address(), options.reply, json!({}));

    let taken = AtomicU64::new(0);
    let mut server = Server {
        rung: Rung::new(&mut ring, &listener, &signals, &taken, &options.basics),
        clients: forever((0..options.basics.slots).map(|_| Client::new()).collect()),
        reply: options.reply,
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
}

impl Server<'_> {
    fn serve(&mut self) -> Result<()> {
        while self.rung.goes_on()? {
            self.rung.queues.submit_and_wait(1, self.rung.patience()).context("waiting")?;
            while let Some(done) = self.rung.next()? {
                self.handle(done)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, done: Done) -> Result<()> {
        let client = &mut self.clients[done.slot as usize];
        if done.op == Op::Recv {
            // RUNG 4: it has started, so the send before it was whole.
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
            // RUNG 4: a send completes only if it was not whole, and has broken its chain.
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

    // ANCHOR: chain
    /// RUNG 4: the receive starts when all is sent, into the buffer that was sent from.
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
    // ANCHOR_END: chain

    /// RUNG 4: the answer, our end and the slot's end.
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
