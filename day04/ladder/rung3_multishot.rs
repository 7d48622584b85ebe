//! Rung 3: multishot receives and provided buffers.
//!
//! ```text
//! cargo run -p day04 --example rung3_multishot -- --reply echo
//! ```
//!
//! The differences to rung 2:
//! - A receive is armed once a client (echo) and completes for everything that comes. It is
//!   not submitted again after each request, though one client still takes two calls for it.
//! - No client has a buffer. The kernel takes one from a common ring when data has come, and
//!   it goes back when its bytes are sent: silent clients cost no memory.
//!
//! Day 04 does not wake up for the end of a send, which saves the second call; for the rest
//! see `scaffold.rs`. Here a client that never reads can take all the buffers, and the queues
//! of replies are on the heap.

use std::collections::VecDeque;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;

use anyhow::{Context, Result};
use clap::Parser;
use common::buffers::Buffers;
use common::environment;
use common::listener::Listener;
use common::ring::{self, RingOptions};
use common::signals::StopSignals;
use common::talk::Talk;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};
use serde_json::json;

use crate::scaffold::{ACK, BUFFER, Basics, Done, ENTRIES, Reply, Rung};

mod scaffold;

/// RUNG 3: buffers that all clients share, a power of two.
const BUFFERS: u16 = 256;

/// Rung 3 of the ladder: multishot receives and provided buffers
#[derive(Parser)]
struct Options {
    /// What a client gets for its request
    #[arg(long, value_enum, default_value_t = Reply::Ack)]
    reply: Reply,

    #[command(flatten)]
    basics: Basics,
}

fn main() -> ExitCode {
    environment::report("rung3_multishot", run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    let (mut ring, _) = ring::build_best(&RingOptions::default(), ENTRIES)?;
    ring::register_slots(&ring.submitter(), options.basics.slots)?;
    let buffers = Buffers::register(&ring.submitter(), 0, BUFFERS, BUFFER as u32)?;

    let mut talk = Talk::new(options.basics.talk);
    let title = "rung 3 · multishot receives, provided buffers";
    scaffold::announce(&mut talk, title, listener.address(), options.reply, json!({}));

    let taken = AtomicU64::new(0);
    let mut server = Server {
        rung: Rung::new(&mut ring, &listener, &signals, &taken, &options.basics),
        clients: (0..options.basics.slots).map(|_| Client::default()).collect(),
        buffers,
        parked: Vec::new(),
        multishot: options.reply == Reply::Echo,
        reply: options.reply,
        talk,
    };
    server.serve()?;
    scaffold::summarise(&mut server.talk, server.rung.counts(), json!({}));
    Ok(())
}

#[derive(Default)]
struct Client {
    /// RUNG 3: buffers with bytes for it, and how many bytes; the first one is being sent.
    replies: VecDeque<(u16, u32)>,
    /// Bytes of the first reply that are sent.
    sent: u32,
    /// It has asked for something.
    asked: bool,
    /// It is to be closed as soon as nothing is in flight.
    leaving: bool,
}

struct Server<'a> {
    rung: Rung<'a>,
    clients: Vec<Client>,
    buffers: Buffers,
    /// RUNG 3: slots whose receive found no buffer.
    parked: Vec<u32>,
    multishot: bool,
    reply: Reply,
    talk: Talk,
}

impl Server<'_> {
    fn serve(&mut self) -> Result<()> {
        while self.rung.goes_on()? {
            self.rung.queues.submit_and_wait(1, self.rung.patience()).context("waiting")?;
            while let Some(done) = self.rung.next()? {
                self.handle(done)?;
            }
            self.unpark()?;
        }
        Ok(())
    }

    fn handle(&mut self, done: Done) -> Result<()> {
        // RUNG 3: the completion says which buffer the kernel took.
        let buffer = cqueue::buffer_select(done.flags);
        if let Some(buffer) = buffer {
            self.buffers.take(buffer);
        }
        match (done.op, done.result, buffer) {
            (Op::Accept, ..) => {
                self.clients[done.slot as usize] = Client::default();
                self.receive(done.slot)
            }
            (Op::Recv, 1.., Some(buffer)) => self.received(done, buffer),
            (Op::Send, 1.., _) => self.sent(done),
            (_, _, buffer) => {
                if let Some(buffer) = buffer {
                    self.buffers.give_back(buffer);
                }
                self.failed(done)
            }
        }
    }

    /// RUNG 3: one entry for all that the client will send.
    fn receive(&mut self, slot: u32) -> Result<()> {
        let group = self.buffers.group();
        let recv = if self.multishot {
            opcode::RecvMulti::new(Fixed(slot), group).build()
        } else {
            opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), BUFFER as u32)
                .buf_group(group)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        };
        self.rung.push(slot, Op::Recv, recv)
    }

    fn received(&mut self, done: Done, buffer: u16) -> Result<()> {
        self.rung.count_received(done);
        let client = &mut self.clients[done.slot as usize];
        client.asked = true;
        match self.reply {
            Reply::Ack => {
                self.buffers.give_back(buffer);
                let more = cqueue::sock_nonempty(done.flags);
                if more { self.receive(done.slot) } else { self.acknowledge(done.slot) }
            }
            Reply::Echo => {
                client.replies.push_back((buffer, done.result as u32));
                if client.replies.len() == 1 {
                    self.send(done.slot)?;
                }
                // RUNG 3: a multishot can end on a success too (a full completion queue).
                if cqueue::more(done.flags) { Ok(()) } else { self.receive(done.slot) }
            }
        }
    }

    /// One send at a time: several could overtake each other.
    fn send(&mut self, slot: u32) -> Result<()> {
        let client = &self.clients[slot as usize];
        let (buffer, length) = client.replies[0];
        let rest = self.buffers.address(buffer).wrapping_add(client.sent as usize);
        self.rung.push(slot, Op::Send, sending(slot, rest, length - client.sent))
    }

    fn acknowledge(&mut self, slot: u32) -> Result<()> {
        self.rung.push(slot, Op::Send, sending(slot, ACK.as_ptr(), ACK.len() as u32))
    }

    fn sent(&mut self, done: Done) -> Result<()> {
        self.rung.counts.bytes_out += done.result as u64;
        let client = &mut self.clients[done.slot as usize];
        client.sent += done.result as u32;
        match client.replies.front() {
            Some(&(buffer, length)) if client.sent == length => {
                client.replies.pop_front();
                client.sent = 0;
                // RUNG 3: only now may the kernel fill it again.
                self.buffers.give_back(buffer);
            }
            _ => {}
        }
        if !client.replies.is_empty() {
            return self.send(done.slot);
        }
        if self.reply == Reply::Ack || client.leaving { self.rung.leave(done.slot) } else { Ok(()) }
    }

    fn failed(&mut self, done: Done) -> Result<()> {
        let client = &mut self.clients[done.slot as usize];
        match (done.op, -done.result) {
            _ if client.leaving => return self.rung.leave(done.slot),
            (Op::Recv, libc::ENOBUFS) => {
                self.parked.push(done.slot);
                return Ok(());
            }
            (Op::Recv, libc::EINVAL) if self.multishot => {
                self.multishot = false;
                self.talk.explain(format_args!("no multishot receive before Linux 6.0: without"));
                return self.receive(done.slot);
            }
            (Op::Recv, 0) if self.reply == Reply::Ack && client.asked => {
                return self.acknowledge(done.slot);
            }
            (Op::Send, _) => {
                for (buffer, _) in client.replies.drain(..) {
                    self.buffers.give_back(buffer);
                }
                self.parked.retain(|&slot| slot != done.slot);
            }
            _ => {}
        }
        client.leaving = true;
        self.rung.ended(done)
    }

    /// RUNG 3: out of buffers, a receive armed anew would fail anew, and at once. So it waits
    /// until one has come back.
    fn unpark(&mut self) -> Result<()> {
        if self.buffers.with_kernel() > 0 {
            for slot in std::mem::take(&mut self.parked) {
                self.receive(slot)?;
            }
        }
        Ok(())
    }
}

fn sending(slot: u32, bytes: *const u8, length: u32) -> squeue::Entry {
    opcode::Send::new(Fixed(slot), bytes, length)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
}
