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
//!   more than those that come by themselves. An ack links send, shutdown and close: three
//!   calls a connection.
//! - A multishot receive never ends, so nothing could be linked to it: receives are single
//!   again. And since the chain never sends and receives at a time, both use one buffer, the
//!   client's own, as on rung 2. That is the price: a silent client ties it up.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::token::Op;
use io_uring::squeue::Flags;
use io_uring::types::Fixed;
use io_uring::{cqueue, opcode};

use self::scaffold::{ACK, BUFFER, Client, Done, Options, Reply, Rung, Server};

pub(crate) mod scaffold;

fn main() -> ExitCode {
    scaffold::report(run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let title = "rung 4 · the send and the next receive in one chain";
    scaffold::serve(title, options, scaffold::ring()?, Linked::new(options))
}

/// Rungs 6 to 9 use it, too.
pub struct Linked {
    clients: &'static mut Vec<Client>,
    reply: Reply,
}

impl Linked {
    /// No client has sent a request yet.
    pub fn new(options: &Options) -> Linked {
        Linked { clients: Client::table(options.basics.slots), reply: options.reply }
    }
}

impl Rung for Linked {
    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        let client = &mut self.clients[done.slot as usize];
        if done.op == Op::Recv {
            // RUNG 4: it has started, so the send before it was whole.
            server.counts.bytes_out += client.unsent.len() as u64;
            client.unsent = 0..0;
        }
        match (done.op, done.result) {
            (Op::Accept, _) => {
                client.asked = false;
                client.unsent = 0..0;
                receive(server, client, done.slot)
            }
            (Op::Recv, 1..) => {
                server.count_received(done);
                client.asked = true;
                let more = cqueue::sock_nonempty(done.flags);
                match self.reply {
                    Reply::Ack if more => receive(server, client, done.slot),
                    Reply::Ack => acknowledge(server, done.slot),
                    Reply::Echo => {
                        client.unsent = 0..done.result as usize;
                        send_and_receive(server, client, done.slot)
                    }
                }
            }
            // The client's end, after the last part of a request.
            (Op::Recv, 0) if self.reply == Reply::Ack && client.asked => {
                acknowledge(server, done.slot)
            }
            // RUNG 4: a send completes only if it was not whole, and has broken its chain.
            (Op::Send, 1..) if self.reply == Reply::Echo => {
                server.counts.bytes_out += done.result as u64;
                client.unsent.start += done.result as usize;
                send_and_receive(server, client, done.slot)
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

// ANCHOR: chain
/// RUNG 4: the receive starts when all is sent, into the buffer that was sent from.
fn send_and_receive(server: &mut Server<'_>, client: &mut Client, slot: u32) -> Result<()> {
    let buffer = client.buffer.as_mut_ptr();
    let rest = &client.buffer[client.unsent.clone()];
    // MSG_WAITALL makes a send that is not whole a failure, which breaks the chain.
    let send = opcode::Send::new(Fixed(slot), rest.as_ptr(), rest.len() as u32)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
        .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
    let recv = opcode::Recv::new(Fixed(slot), buffer, BUFFER as u32).build();
    server.push_chain(slot, &[(Op::Send, send), (Op::Recv, recv)])
}
// ANCHOR_END: chain

/// RUNG 4: the answer, our end and the slot's end.
fn acknowledge(server: &mut Server<'_>, slot: u32) -> Result<()> {
    let send = opcode::Send::new(Fixed(slot), ACK.as_ptr(), ACK.len() as u32)
        .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
        .build()
        .flags(Flags::IO_LINK | Flags::SKIP_SUCCESS);
    let [shutdown, close] = scaffold::farewell(slot);
    server.counts.bytes_out += ACK.len() as u64;
    server.push_chain(slot, &[(Op::Send, send), shutdown, close])
}
