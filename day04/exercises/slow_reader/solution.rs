//! Slow reader: memory that a client cannot fill.
//!
//! An echo server. It queues the bytes that arrive while a send is in flight,
//! for the next send. When enough is queued it stops receiving, and the kernel
//! makes the client wait. It receives again when there is room.

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
const CHUNK: usize = 16 * 1024;
/// The most bytes queued for a client before its input has to wait.
const LIMIT: usize = 64 * 1024;

#[derive(Clone, Default)]
struct Client {
    /// Memory of the receive; the kernel writes it.
    chunk: Vec<u8>,
    /// Bytes of the send; the kernel reads them.
    sending: Vec<u8>,
    /// Bytes that have arrived since.
    queued: Vec<u8>,
    /// A send is in flight.
    busy: bool,
    /// The client's input has ended.
    ended: bool,
    /// No receive is in flight, because too much is queued.
    paused: bool,
}

fn main() -> ExitCode {
    environment::report("slow_reader", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let clients = vec![Client::default(); SLOTS as usize];
    let mut echo =
        Echo { queues: Queues::new(&mut ring), clients, door: listener.fd() };
    echo.accept()?;
    println!("listening on {}", listener.address());
    loop {
        echo.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = echo.queues.next_completion() {
            echo.handle(&completion)?;
        }
    }
}

struct Echo<'ring> {
    queues: Queues<'ring>,
    clients: Vec<Client>,
    door: i32,
}

impl Echo<'_> {
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
                if result < 0 {
                    return Ok(());
                }
                let chunk = vec![0; CHUNK];
                self.clients[result as usize] =
                    Client { chunk, ..Client::default() };
                self.receive(result as u32)
            }
            Op::Recv if result > 0 => {
                let client = &mut self.clients[slot as usize];
                let arrived = &client.chunk[..result as usize];
                client.queued.extend_from_slice(arrived);
                client.paused = client.queued.len() >= LIMIT;
                if !client.paused {
                    // ^^^^^^^^^^ unread bytes fill the socket, its window
                    //            closes, and the client has to wait
                    self.receive(slot)?;
                }
                self.send(slot)
            }
            Op::Recv => {
                self.clients[slot as usize].ended = true;
                self.send(slot)
            }
            Op::Send => {
                let client = &mut self.clients[slot as usize];
                client.busy = false;
                if result < 0 {
                    // The client has left; its receive will fail as well.
                    client.sending.clear();
                    client.queued.clear();
                } else {
                    client.sending.drain(..result as usize);
                }
                self.send(slot)?;
                let client = &mut self.clients[slot as usize];
                if client.paused && client.queued.len() < LIMIT {
                    // ^^^^^^^^^ after the send took the queued bytes: now there
                    //           is room
                    client.paused = false;
                    return self.receive(slot);
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn receive(&mut self, slot: u32) -> Result<()> {
        let chunk = self.clients[slot as usize].chunk.as_mut_ptr();
        let recv = opcode::Recv::new(Fixed(slot), chunk, CHUNK as u32).build();
        self.push(Op::Recv, slot, recv)
    }

    /// Sends the rest of the last send, or else the queued bytes, one send at a
    /// time. After the last byte, the slot is closed.
    fn send(&mut self, slot: u32) -> Result<()> {
        let client = &mut self.clients[slot as usize];
        if client.busy {
            return Ok(());
        }
        if client.sending.is_empty() {
            std::mem::swap(&mut client.sending, &mut client.queued);
        }
        let bytes = &client.sending;
        if bytes.is_empty() {
            let close = opcode::Close::new(Fixed(slot)).build();
            return if client.ended {
                self.push(Op::Close, slot, close)
            } else {
                Ok(())
            };
        }
        let send =
            opcode::Send::new(Fixed(slot), bytes.as_ptr(), bytes.len() as u32)
                .flags(libc::MSG_NOSIGNAL)
                .build();
        client.busy = true;
        self.push(Op::Send, slot, send)
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: a chunk is received into, and a `sending` sent from, by one
        // operation at a time, and is not touched before its completion.
        unsafe { self.queues.push(&entry) }.context("submitting")
    }
}
