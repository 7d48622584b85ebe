//! The journal's reply: four bytes, then the end, and never a reset.

use anyhow::Result;
use common::slots::Way;
use common::token::Op;
use io_uring::types::Fixed;
use io_uring::{opcode, squeue};

use crate::connection::{Connection, Stage};
use crate::server::Server;

const ACK: &[u8; 4] = b"ack\0";

/// Bytes that one receive throws away at most.
const DISCARD: u32 = 1 << 20;

impl Server<'_> {
    // ANCHOR: answer
    /// Sends the answer and ends our side, as one chain: the shutdown starts when the send
    /// has succeeded. Neither waits for the client, for four bytes always
    /// fit a socket on which nothing was sent before.
    pub fn answer(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Answering;
        let send = opcode::Send::new(Fixed(slot), ACK.as_ptr(), ACK.len() as u32)
            .flags(libc::MSG_NOSIGNAL | libc::MSG_WAITALL)
            .build();
        // A link ends where a submit ends. A queue of one entry never holds a chain: there
        // the completion of the send starts the shutdown.
        if self.queues.room_for(2)? {
            self.push_prompt(slot, Op::Send, send.flags(squeue::Flags::IO_LINK))?;
            self.end_our_side(slot)
        } else {
            self.push_on(slot, Op::Send, send)
        }
    }

    /// The client has what it gets: end-of-file comes next.
    pub fn end_our_side(&mut self, slot: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        connection.stage = Stage::Answering;
        connection.shut = true;
        let shutdown = opcode::Shutdown::new(Fixed(slot), libc::SHUT_WR).build();
        self.push_prompt(slot, Op::Shutdown, shutdown)
    }
    // ANCHOR_END: answer

    /// The answer is with the kernel, or the client has gone.
    pub fn answer_sent(&mut self, slot: u32, result: i32) -> Result<()> {
        if result < 0 {
            if result != -libc::ECANCELED {
                self.say_failed(slot, -result);
            }
            return self.end(slot);
        }
        self.counts.bytes_out += result as u64;
        if !self.connections[slot as usize].shut {
            return self.end_our_side(slot);
        }
        self.settle(slot)
    }

    // ANCHOR: linger
    /// Our side has ended. Closing now would reset the connection if the client is still
    /// sending, and the reset could overtake the answer. So what it sends is thrown away
    /// until it ends.
    ///
    /// Most clients end as soon as they are answered. The next turn looks whether this one
    /// has, which costs no system call of its own.
    pub fn linger(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Lingering;
        self.idle.remove(slot);
        self.lingering.touch(slot, self.now);
        match self.slots.generation(slot) {
            Some(generation) if self.admission.way() == Way::Multishot => {
                self.answered.push((slot, generation));
                Ok(())
            }
            _ => self.discard(slot), // slots are scarce: learn of its end at once
        }
    }

    /// Queues a look at every connection that the last turn answered.
    pub fn look_after_answered(&mut self) -> Result<()> {
        while let Some((slot, generation)) = self.answered.pop() {
            if self.slots.is_current(slot, generation)
                && self.connections[slot as usize].stage == Stage::Lingering
            {
                let look = discarding(slot, libc::MSG_DONTWAIT);
                self.push_prompt(slot, Op::Discard, look)?;
            }
        }
        Ok(())
    }

    /// Waits for more to throw away. A client that was not told of our end does not end
    /// either, so there this is a look.
    fn discard(&mut self, slot: u32) -> Result<()> {
        let flags = if self.connections[slot as usize].shut { 0 } else { libc::MSG_DONTWAIT };
        self.push_on(slot, Op::Discard, discarding(slot, flags))
    }

    /// The client sent more (a positive result), has not ended yet (EAGAIN, from a look), or
    /// is done.
    pub fn discarded(&mut self, slot: u32, result: i32) -> Result<()> {
        let Connection { stage, shut, .. } = self.connections[slot as usize];
        let lingering = stage == Stage::Lingering;
        if lingering && (result > 0 || (result == -libc::EAGAIN && shut)) {
            return self.discard(slot);
        }
        if lingering && result < 0 && result != -libc::EAGAIN {
            self.say_failed(slot, -result);
        }
        self.end(slot)
    }
    // ANCHOR_END: linger
}

/// A receive that throws away what it gets: for TCP, MSG_TRUNC does so without a buffer
/// (`tcp(7)`).
fn discarding(slot: u32, flags: i32) -> squeue::Entry {
    opcode::Recv::new(Fixed(slot), std::ptr::null_mut(), DISCARD)
        .flags(libc::MSG_TRUNC | flags)
        .build()
}
