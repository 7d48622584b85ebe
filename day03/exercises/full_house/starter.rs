//! Full house: four slots, ten clients, none lost.
//!
//! This house has four slots. The server greets a client that gets a slot, and
//! keeps it until it leaves. It keeps one multishot accept armed, which accepts
//! a fifth client too: it takes the client from the backlog, finds no slot, and
//! drops it. Let clients wait in the backlog, and accept the next one when a
//! slot is free.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{Fd, Fixed};
use io_uring::{IoUring, cqueue, opcode, squeue};

/// Slots for as many clients as may be in at a time. Leave it at four.
const SLOTS: u32 = 4;
const GREETING: &[u8] = b"come in\n";

fn main() -> ExitCode {
    environment::report("full_house", run())
}

fn run() -> Result<()> {
    let listener = Listener::bind("127.0.0.1:0".parse()?)?;
    let mut ring = IoUring::new(16)?;
    ring::register_slots(&ring.submitter(), SLOTS)?;
    let mut house =
        House { queues: Queues::new(&mut ring), door: listener.fd() };
    println!("listening on {}", listener.address());

    house.open_door()?;
    loop {
        house.queues.submit_and_wait(1, None).context("waiting")?;
        while let Some(completion) = house.queues.next_completion() {
            house.handle(&completion)?;
        }
    }
}

struct House<'ring> {
    queues: Queues<'ring>,
    /// The listener's descriptor.
    door: i32,
    // TODO: what must the server know, to accept no more clients than it has
    // free slots?
}

impl House<'_> {
    // TODO: a single accept (`opcode::Accept`) takes one client from the
    // backlog and no more.
    // `.file_index(Some(types::DestinationSlot::auto_target()))` puts it into a
    // free slot.
    fn open_door(&mut self) -> Result<()> {
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
        match token.op {
            Op::Accept => {
                if !cqueue::more(completion.flags()) {
                    self.open_door()?;
                }
                if result < 0 { Ok(()) } else { self.welcome(result as u32) }
            }
            // With bytes: the client sent something, which we discard. Without:
            // it has left, and its slot is closed.
            Op::Discard if result > 0 => self.discard(token.slot),
            Op::Discard => self.push(
                Op::Close,
                token.slot,
                opcode::Close::new(Fixed(token.slot)).build(),
            ),
            // The slot is free again.
            Op::Close => Ok(()),
            _ => Ok(()),
        }
    }

    fn welcome(&mut self, slot: u32) -> Result<()> {
        let send = opcode::Send::new(
            Fixed(slot),
            GREETING.as_ptr(),
            GREETING.len() as u32,
        )
        .flags(libc::MSG_NOSIGNAL)
        .build();
        self.push(Op::Send, slot, send)?;
        self.discard(slot)
    }

    /// Waits for the client's end, and discards what it sends.
    fn discard(&mut self, slot: u32) -> Result<()> {
        let recv = opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), 4096)
            .flags(libc::MSG_TRUNC)
            .build();
        self.push(Op::Discard, slot, recv)
    }

    fn push(&mut self, op: Op, slot: u32, entry: squeue::Entry) -> Result<()> {
        let entry = entry.user_data(Token::on(op, slot, 0).pack());
        // SAFETY: the only memory that an entry points at is the greeting, a
        // constant.
        unsafe { self.queues.push(&entry) }.context("submitting a full queue")
    }
}
