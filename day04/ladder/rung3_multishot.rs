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
//! What day 04 has and this has not: see `scaffold.rs`; besides, a client that never reads can
//! take all the buffers here, and the queues of replies are on the heap. Day 04 keeps the
//! common buffers and receives one at a time, and its wait does not end with a send alone,
//! which saves the second call.

use std::collections::VecDeque;
use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::buffers::Buffers;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode, squeue};

use crate::scaffold::{ACK, BUFFER, Done, Options, Reply, Rung, Server};

mod scaffold;

/// RUNG 3: buffers that all clients share, a power of two.
const BUFFERS: u16 = 256;

fn main() -> ExitCode {
    scaffold::report(run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let ring = scaffold::ring()?;
    let rung = Multishot {
        clients: (0..options.basics.slots).map(|_| Client::default()).collect(),
        buffers: Buffers::register(&ring.submitter(), 0, BUFFERS, BUFFER as u32)?,
        parked: Vec::new(),
        multishot: options.reply == Reply::Echo,
        reply: options.reply,
    };
    scaffold::serve("rung 3 · multishot receives, provided buffers", options, ring, rung)
}

#[derive(Default)]
struct Client {
    /// RUNG 3: buffers with bytes for it, and how many bytes; the first one is being sent.
    replies: VecDeque<(u16, u32)>,
    /// Bytes of the first reply that are sent.
    sent: u32,
    /// It has sent a request.
    asked: bool,
    /// Close it as soon as nothing is in flight.
    leaving: bool,
}

struct Multishot {
    clients: Vec<Client>,
    buffers: Buffers,
    /// RUNG 3: slots whose receive found no buffer.
    parked: Vec<u32>,
    multishot: bool,
    reply: Reply,
}

impl Rung for Multishot {
    fn wait(&mut self, server: &mut Server<'_>) -> Result<()> {
        self.unpark(server)?;
        server.submit_and_wait(1)
    }

    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        // RUNG 3: the completion says which buffer the kernel took.
        let buffer = cqueue::buffer_select(done.flags);
        if let Some(buffer) = buffer {
            self.buffers.take(buffer);
        }
        match (done.op, done.result, buffer) {
            (Op::Accept, ..) => {
                self.clients[done.slot as usize] = Client::default();
                self.receive(server, done.slot)
            }
            (Op::Recv, 1.., Some(buffer)) => self.received(server, done, buffer),
            (Op::Send, 1.., _) => self.sent(server, done),
            (_, _, buffer) => {
                if let Some(buffer) = buffer {
                    self.buffers.give_back(buffer);
                }
                self.failed(server, done)
            }
        }
    }
}

impl Multishot {
    /// RUNG 3: one entry for all that the client will send.
    fn receive(&mut self, server: &mut Server<'_>, slot: u32) -> Result<()> {
        let group = self.buffers.group();
        let recv = if self.multishot {
            opcode::RecvMulti::new(Fixed(slot), group).build()
        } else {
            opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), BUFFER as u32)
                .buf_group(group)
                .build()
                .flags(squeue::Flags::BUFFER_SELECT)
        };
        server.push(slot, Op::Recv, recv)
    }

    fn received(&mut self, server: &mut Server<'_>, done: Done, buffer: u16) -> Result<()> {
        server.count_received(done);
        let client = &mut self.clients[done.slot as usize];
        client.asked = true;
        match self.reply {
            Reply::Ack => {
                self.buffers.give_back(buffer);
                let more = cqueue::sock_nonempty(done.flags);
                if more {
                    self.receive(server, done.slot)
                } else {
                    self.acknowledge(server, done.slot)
                }
            }
            Reply::Echo => {
                client.replies.push_back((buffer, done.result as u32));
                if client.replies.len() == 1 {
                    self.send(server, done.slot)?;
                }
                // RUNG 3: a multishot can end on a success too (a full completion queue).
                if cqueue::more(done.flags) { Ok(()) } else { self.receive(server, done.slot) }
            }
        }
    }

    /// One send at a time: several could overtake each other.
    fn send(&mut self, server: &mut Server<'_>, slot: u32) -> Result<()> {
        let client = &self.clients[slot as usize];
        let (buffer, length) = client.replies[0];
        let rest = self.buffers.address(buffer).wrapping_add(client.sent as usize);
        server.push(slot, Op::Send, sending(slot, rest, length - client.sent))
    }

    fn acknowledge(&mut self, server: &mut Server<'_>, slot: u32) -> Result<()> {
        server.push(slot, Op::Send, sending(slot, ACK.as_ptr(), ACK.len() as u32))
    }

    fn sent(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        server.counts.bytes_out += done.result as u64;
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
            return self.send(server, done.slot);
        }
        if self.reply == Reply::Ack || client.leaving { server.leave(done.slot) } else { Ok(()) }
    }

    fn failed(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        let client = &mut self.clients[done.slot as usize];
        match (done.op, -done.result) {
            _ if client.leaving => return server.leave(done.slot),
            (Op::Recv, libc::ENOBUFS) => {
                self.parked.push(done.slot);
                return Ok(());
            }
            (Op::Recv, libc::EINVAL) if self.multishot => {
                self.multishot = false; // it came with Linux 6.0
                return self.receive(server, done.slot);
            }
            (Op::Recv, 0) if self.reply == Reply::Ack && client.asked => {
                return self.acknowledge(server, done.slot);
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
        server.ended(done)
    }

    /// RUNG 3: out of buffers, a receive that is armed again fails again, and at once. So it
    /// waits until a buffer has come back.
    fn unpark(&mut self, server: &mut Server<'_>) -> Result<()> {
        if self.buffers.with_kernel() > 0 {
            for slot in std::mem::take(&mut self.parked) {
                self.receive(server, slot)?;
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
