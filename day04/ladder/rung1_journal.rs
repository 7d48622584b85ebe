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
//! ends one connection and not the server, end-of-file is not a request, a longer request is
//! read to its end, and only loopback can connect. What day 04 has and this has not: see
//! `scaffold.rs`; besides, a client ties up a buffer even while it is silent.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode};

use self::scaffold::{ACK, BUFFER, Client, Done, Options, Reply, Rung, Server};

pub(crate) mod scaffold;

fn main() -> ExitCode {
    scaffold::report(run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let title = "rung 1 · one submit for every operation";
    scaffold::serve(title, options, scaffold::ring()?, Journal::new(options))
}

/// Rung 2 uses it, too.
pub struct Journal {
    clients: &'static mut Vec<Client>,
    reply: Reply,
}

impl Rung for Journal {
    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        // ANCHOR: submit
        self.converse(server, done)?;
        // RUNG 1: what was prepared goes to the kernel at once, in a call of its own.
        server.queues.submit_and_wait(0, None).context("submitting")
        // ANCHOR_END: submit
    }
}

impl Journal {
    /// No client has sent a request yet.
    pub fn new(options: &Options) -> Journal {
        Journal { clients: Client::table(options.basics.slots), reply: options.reply }
    }

    /// Prepares the operation that follows the completed one.
    pub fn converse(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        let client = &mut self.clients[done.slot as usize];
        match (done.op, done.result) {
            (Op::Accept, _) => {
                client.asked = false;
                receive(server, client, done.slot)
            }
            (Op::Recv, 1..) => {
                server.count_received(done);
                client.asked = true;
                client.unsent = 0..done.result as usize;
                let more = cqueue::sock_nonempty(done.flags);
                match self.reply {
                    Reply::Ack if more => receive(server, client, done.slot),
                    Reply::Ack => send(server, done.slot, ACK),
                    Reply::Echo => send(server, done.slot, &client.buffer[client.unsent.clone()]),
                }
            }
            // The client's end, after the last part of a request.
            (Op::Recv, 0) if self.reply == Reply::Ack && client.asked => {
                send(server, done.slot, ACK)
            }
            (Op::Send, 1..) => {
                server.counts.bytes_out += done.result as u64;
                client.unsent.start += done.result as usize;
                match self.reply {
                    Reply::Echo if client.unsent.is_empty() => receive(server, client, done.slot),
                    Reply::Echo => send(server, done.slot, &client.buffer[client.unsent.clone()]),
                    Reply::Ack => server.ended(done),
                }
            }
            _ => server.ended(done),
        }
    }
}

fn receive(server: &mut Server<'_>, client: &mut Client, slot: u32) -> Result<()> {
    let buffer = client.buffer.as_mut_ptr();
    let recv = opcode::Recv::new(Fixed(slot), buffer, BUFFER as u32).build();
    server.push(slot, Op::Recv, recv)
}

fn send(server: &mut Server<'_>, slot: u32, bytes: &[u8]) -> Result<()> {
    let send = opcode::Send::new(Fixed(slot), bytes.as_ptr(), bytes.len() as u32)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build();
    server.push(slot, Op::Send, send)
}
