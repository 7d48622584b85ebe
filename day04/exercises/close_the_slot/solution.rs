//! Close the slot: a thousand clients, and afterwards no slot is taken.
//!
//! A client that sends something gets `ack` and a zero byte. Then the server
//! shuts down its own side, discards the client's input up to its end, and
//! closes the slot through the ring.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::slots::Slots;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

const SLOTS: u32 = 64;
const REQUEST: usize = 1024;
const ACK: &[u8; 4] = b"ack\0";

fn main() -> ExitCode {
    environment::report("close_the_slot", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(64)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let mut server = Server {
        queues: Queues::new(&mut ring),
        slots: Slots::new(SLOTS),
        requests: vec![[0; REQUEST]; SLOTS as usize],
        door: listener.fd(),
    };
    server.accept()?;
    println!("listening on {}", listener.address());
    loop {
        server.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = server.queues.next_completion() {
            server.handle(&completion)?;
        }
    }
}

struct Server<'ring> {
    queues: Queues<'ring>,
    /// Which slots have a client, and how many operations each of them has in
    /// flight.
    slots: Slots,
    requests: Vec<[u8; REQUEST]>,
    door: i32,
}

impl Server<'_> {
    fn accept(&mut self) -> Result<()> {
        let accept = opcode::AcceptMulti::new(Fd(self.door))
            .allocate_file_index(true)
            .build();
        self.push(Token::of(Op::Accept), accept)
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        let slot = token.slot;
        if token.op != Op::Accept && !self.slots.finish(slot, token.generation)
        {
            return Ok(()); // an earlier client's of this slot
        }
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.accept()?;
                }
                if result >= 0 { self.greet(result as u32) } else { Ok(()) }
            }
            Op::Recv if result > 0 => {
                let send = opcode::Send::new(
                    Fixed(slot),
                    ACK.as_ptr(),
                    ACK.len() as u32,
                )
                .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL);
                self.push_on(slot, Op::Send, send.build())
            }
            Op::Send if result == ACK.len() as i32 => self.leave(slot),
            Op::Recv | Op::Send => self.close(slot),
            //                     ^^^^^^^^^^^^^^^^
            // it has ended or reset its side: nothing more will come
            Op::Discard if result > 0 => self.discard(slot),
            Op::Discard | Op::Shutdown if self.slots.in_flight(slot) == 0 => {
                //                        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
                // whichever is last: nothing may be in flight on a slot that is
                // closed
                self.close(slot)
            }
            Op::Close => {
                self.slots.release(slot);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A client, which should send something.
    fn greet(&mut self, slot: u32) -> Result<()> {
        self.slots.occupy(slot);
        let request = self.requests[slot as usize].as_mut_ptr();
        let recv =
            opcode::Recv::new(Fixed(slot), request, REQUEST as u32).build();
        self.push_on(slot, Op::Recv, recv)
    }

    /// Ends our side, and waits for the client's end: closing a socket with
    /// unread input resets the connection, and the client may lose the answer.
    fn leave(&mut self, slot: u32) -> Result<()> {
        let shutdown =
            opcode::Shutdown::new(Fixed(slot), libc::SHUT_WR).build();
        //                                     ^^^^^^^^^^^^^
        // the client sees the end after the answer
        self.push_on(slot, Op::Shutdown, shutdown)?;
        self.discard(slot)
    }

    fn discard(&mut self, slot: u32) -> Result<()> {
        let recv =
            opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 1 << 20)
                .flags(libc::MSG_TRUNC)
                //     ^^^^^^^^^^^^^^^ for TCP: take the bytes and throw them
                //                     away, no buffer needed
                .build();
        self.push_on(slot, Op::Discard, recv)
    }

    fn close(&mut self, slot: u32) -> Result<()> {
        self.push_on(slot, Op::Close, opcode::Close::new(Fixed(slot)).build())
        //                                               ^^^^^^^^^^^
        // the slot, through the ring; close(2) would take a descriptor
    }

    fn push_on(
        &mut self,
        slot: u32,
        op: Op,
        entry: squeue::Entry,
    ) -> Result<()> {
        let generation =
            self.slots.generation(slot).context("a slot without a client")?;
        self.slots.start(slot);
        self.push(Token::on(op, slot, generation), entry)
    }

    fn push(&mut self, token: Token, entry: squeue::Entry) -> Result<()> {
        // SAFETY: a slot's request is used by one operation at a time and lives
        // as long as the loop; the answer is a constant.
        unsafe { self.queues.push(&entry.user_data(token.pack())) }
            .context("submitting")
    }
}
