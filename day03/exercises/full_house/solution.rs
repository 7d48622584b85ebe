//! Full house: four slots, ten clients, none lost.
//!
//! This house has four slots. A client that gets one is greeted and stays until
//! it leaves. There is one single accept for every free slot and no more, so
//! the others wait in the backlog.

use std::process::ExitCode;

use anyhow::{Context, Result};
use common::environment;
use common::listener::Listener;
use common::queues::Queues;
use common::ring;
use common::token::{Op, Token};
use io_uring::types::{DestinationSlot, Fd, Fixed};
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
    let queues = Queues::new(&mut ring);
    let mut house = House { queues, door: listener.fd(), armed: 0, held: 0 };
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
    /// Accepts that have not completed.
    armed: u32,
    /// Slots with a client in them.
    held: u32,
}

impl House<'_> {
    fn open_door(&mut self) -> Result<()> {
        while self.held + self.armed < SLOTS {
            // ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^ an armed accept has its slot
            //                               reserved: it may fill it any moment
            let null = std::ptr::null_mut();
            let accept = opcode::Accept::new(Fd(self.door), null, null.cast())
                .file_index(Some(DestinationSlot::auto_target()))
                .build();
            self.push(Op::Accept, 0, accept)?;
            self.armed += 1;
        }
        Ok(())
    }

    fn handle(&mut self, completion: &cqueue::Entry) -> Result<()> {
        let result = completion.result();
        let Some(token) = Token::unpack(completion.user_data()) else {
            return Ok(());
        };
        match token.op {
            Op::Accept => {
                self.armed -= 1;
                if result < 0 {
                    return self.open_door();
                    //     ^^^^^^^^^^^^^^^^ the slot that was reserved for this
                    //                      one is free
                }
                self.held += 1;
                self.welcome(result as u32)
            }
            // With bytes: the client sent something, which we discard. Without:
            // it has left, and its slot is closed.
            Op::Discard if result > 0 => self.discard(token.slot),
            Op::Discard => self.push(
                Op::Close,
                token.slot,
                opcode::Close::new(Fixed(token.slot)).build(),
            ),
            Op::Close => {
                self.held -= 1;
                self.open_door()
                // ^^^^^^^^^^^^^ not before the close has completed: only then
                //               is the slot free
            }
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
