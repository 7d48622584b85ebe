//! Rung 1: the journal's own shape, in correct Rust. One submit for every operation.
//!
//! ```text
//! cargo run -p day04 --example rung1_journal -- --reply echo
//! ```
//!
//! The loop waits for a completion, handles it, prepares the next operation and submits that
//! one at once. Receive, send and close are a system call each, and so is every wait: with
//! one client three a request (echo), six a connection (ack).
//!
//! The journal's defects are mended: a slot is closed as a slot and comes free again, a reset
//! ends one connection and not the server, end-of-file is no request, a longer request is
//! read to its end, and only loopback can connect. What day 04 has and this has not: see
//! `scaffold.rs`; besides, a client ties up a buffer even while it is silent.

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
use io_uring::opcode;
use io_uring::types::Fixed;
use serde_json::json;

use crate::scaffold::{ACK, BUFFER, Basics, Done, ENTRIES, Reply, Rung};

mod scaffold;

/// Rung 1 of the ladder: one submit for every operation, as in the journal
#[derive(Parser)]
struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung1_journal", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    let (mut ring, _) = ring::build_best(&RingOptions::default(), ENTRIES)?;
    ring::register_slots(&ring.submitter(), options.basics.slots)?;

    let mut talk = Talk::new(options.basics.talk);
    let title = "rung 1 · one submit for every operation";
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
    /// The kernel's while a receive or a send is in flight.
    buffer: [u8; BUFFER],
    /// What is still to be sent of it.
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
        match (done.op, done.result) {
            (Op::Accept, _) => {
                client.asked = false;
                self.receive(done.slot)
            }
            (Op::Recv, 1..) => {
                self.rung.count_received(done);
                client.asked = true;
                client.unsent = 0..done.result as usize;
                let more = io_uring::cqueue::sock_nonempty(done.flags);
                match self.reply {
                    Reply::Ack if more => self.receive(done.slot),
                    Reply::Ack => self.acknowledge(done.slot),
                    Reply::Echo => self.send(done.slot),
                }
            }
            // The client's end, after the last part of a request.
            (Op::Recv, 0) if self.reply == Reply::Ack && client.asked => {
                self.acknowledge(done.slot)
            }
            (Op::Send, 1..) => {
                self.rung.counts.bytes_out += done.result as u64;
                client.unsent.start += done.result as usize;
                match self.reply {
                    Reply::Echo if !client.unsent.is_empty() => self.send(done.slot),
                    Reply::Echo => self.receive(done.slot),
                    Reply::Ack => self.close(done),
                }
            }
            _ => self.close(done),
        }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let buffer = &mut self.clients[slot as usize].buffer;
        let recv = opcode::Recv::new(Fixed(slot), buffer.as_mut_ptr(), BUFFER as u32).build();
        self.rung.push(slot, Op::Recv, recv)?;
        self.submit()
    }

    fn send(&mut self, slot: u32) -> Result<()> {
        let Client { buffer, unsent, .. } = &self.clients[slot as usize];
        let rest = &buffer[unsent.clone()];
        let send = opcode::Send::new(Fixed(slot), rest.as_ptr(), rest.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.rung.push(slot, Op::Send, send)?;
        self.submit()
    }

    fn acknowledge(&mut self, slot: u32) -> Result<()> {
        let send = opcode::Send::new(Fixed(slot), ACK.as_ptr(), ACK.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        self.rung.push(slot, Op::Send, send)?;
        self.submit()
    }

    fn close(&mut self, done: Done) -> Result<()> {
        self.rung.ended(done)?;
        self.submit()
    }

    /// RUNG 1: whatever was prepared goes to the kernel at once, in a call of its own.
    fn submit(&mut self) -> Result<()> {
        self.rung.queues.submit_and_wait(0, None).context("submitting")
    }
}
