//! Short send: the kernel takes a part of the bytes, and returns how many.
//!
//! A client asks for a number of bytes (four bytes, little-endian) and gets
//! that many, made by `reply`. A reply has millions of bytes, more than a
//! socket's buffer holds. A send takes as many as there is room for and
//! completes with their number; the next send takes the rest.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 16;

/// The reply to a request for `length` bytes.
fn reply(length: u32) -> Vec<u8> {
    let words = (0..length.div_ceil(4))
        .map(|word| word.wrapping_mul(2_654_435_761) ^ length);
    let mut bytes = Vec::with_capacity(length as usize + 4);
    words.for_each(|word| bytes.extend_from_slice(&word.to_le_bytes()));
    bytes.truncate(length as usize);
    bytes
}

#[derive(Clone, Default)]
struct Client {
    /// The requested length; the kernel writes it.
    request: [u8; 4],
    /// The reply; the kernel reads it until the last send has completed.
    reply: Vec<u8>,
    /// How many bytes of it the kernel has taken.
    sent: usize,
}

fn main() -> ExitCode {
    environment::report("short_send", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let clients = vec![Client::default(); SLOTS as usize];
    let mut shop =
        Shop { queues: Queues::new(&mut ring), clients, door: listener.fd() };
    shop.accept()?;
    println!("listening on {}", listener.address());
    loop {
        shop.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = shop.queues.next_completion() {
            shop.handle(&completion)?;
        }
    }
}

struct Shop<'ring> {
    queues: Queues<'ring>,
    clients: Vec<Client>,
    door: i32,
}

impl Shop<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Op::Accept, 0, accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        let slot = token.slot;
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.receive(result as u32) } else { Ok(()) }
            }
            Op::Recv if result == 4 => {
                let client = &mut self.clients[slot as usize];
                client.reply = reply(u32::from_le_bytes(client.request));
                client.sent = 0;
                self.send(slot)
            }
            Op::Send if result > 0 => {
                let client = &mut self.clients[slot as usize];
                client.sent += result as usize;
                //             ^^^^^^ the number of bytes that the kernel took,
                //                    which may be fewer than asked
                if client.sent < client.reply.len() {
                    self.send(slot)
                //  ^^^^^^^^^^^^^^^ only now: two sends at a time could overtake
                //                  each other
                } else {
                    self.close(slot)
                }
            }
            Op::Send | Op::Recv => self.close(slot),
            _ => Ok(()),
        }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let request = self.clients[slot as usize].request.as_mut_ptr();
        let recv = opcode::Recv::new(Fixed(slot), request, 4)
            .flags(libc::MSG_WAITALL)
            .build();
        self.push(Op::Recv, slot, recv)
    }

    fn send(&mut self, slot: u32) -> Result<()> {
        let client = &self.clients[slot as usize];
        let rest = &client.reply[client.sent..];
        let send =
            opcode::Send::new(Fixed(slot), rest.as_ptr(), rest.len() as u32)
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
                //                          ^^^^^^^^^^^^^^^^^
                // the kernel goes on by itself where it can; not always
                .build();
        self.push(Op::Send, slot, send)
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        self.push(Op::Close, slot, opcode::Close::new(Fixed(slot)).build())
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a client's request and reply are used by one operation at a
        // time. The reply is replaced only when no send is in flight.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
