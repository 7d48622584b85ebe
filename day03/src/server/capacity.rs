//! Capacity: when to accept a client, so that no client is lost.
//!
//! A direct accept on a full table fails with ENFILE *after* it took the client off the backlog:
//! that client is lost. So the table has spare slots, in which clients wait, and the accept is
//! cancelled as soon as all other slots are taken.

use anyhow::Result;
use common::token::{Op, Token};
use io_uring::types::{CancelBuilder, DestinationSlot, Fd};
use io_uring::{opcode, squeue};

use super::{Accept, Server, Stage};
use crate::events::Event;

/// How many clients are let in.
#[derive(Clone, Copy)]
pub struct Limits {
    /// Slots of the table.
    pub table: u32,
    /// Clients that are served at a time.
    pub capacity: u32,
    /// Whether one accept may let in several clients.
    pub multishot: bool,
    /// Clients in all.
    pub max: Option<u64>,
}

// ANCHOR: spare
/// Slots that the table must have beyond the clients that are served.
///
/// A multishot accept goes on accepting until the program has seen its completions and cancelled
/// it. It posts one completion for each client, and ends when the completion queue is full. So it
/// can be ahead by a full queue when the program decides to cancel, and by another full queue when
/// the cancel takes effect. The 1 in each is the completion that ends it.
pub fn spare_slots(cq_entries: u32) -> u32 {
    2 * (cq_entries + 1)
}
// ANCHOR_END: spare

impl Server<'_> {
    // ANCHOR: let_in
    /// A client is in this slot: it is greeted, or waits until another has left.
    pub(super) fn let_in(&mut self, slot: u32) -> Result<()> {
        self.slots.occupy(slot);
        let client = &mut self.clients[slot as usize];
        (client.number, client.leaving) = (None, false);
        if self.stage != Stage::Serving {
            return self.add_shutdown(slot); // it came while the accept was being cancelled
        }
        self.counts.clients += 1;
        client.number = Some(self.counts.clients);
        if self.limits.max == client.number {
            self.stage = Stage::Finishing;
        }
        if self.served() > self.limits.capacity {
            self.waiting.push_back(slot);
            return Ok(());
        }
        self.greet(slot)
    }
    // ANCHOR_END: let_in

    // ANCHOR: room
    /// Whether another client may be accepted.
    pub(super) fn has_room(&self) -> bool {
        self.stage == Stage::Serving && self.slots.held() < self.limits.capacity
    }

    /// Cancels the accept, which would go on. The cancel posts a completion only if it fails.
    pub(super) fn add_accept_cancel(&mut self) -> Result<()> {
        self.accept = Accept::Cancelled;
        self.add_cancel(CancelBuilder::user_data(Token::of(Op::Accept).pack()))
    }

    /// The cancel failed: the accept was ending or running. If it has not ended, cancel it again.
    pub(super) fn handle_cancel_error(&mut self) -> Result<()> {
        if self.accept == Accept::Cancelled {
            self.accept = Accept::Armed;
        }
        Ok(())
    }
    // ANCHOR_END: room

    /// An accept of one client, into a slot of the kernel's choice: where the limit on descriptors
    /// leaves no room for spare slots. When it completes it has ended, so nothing is left to cancel.
    pub(super) fn single_accept(&self) -> squeue::Entry {
        let (null, slot) = (std::ptr::null_mut(), DestinationSlot::auto_target());
        let accept = opcode::Accept::new(Fd(self.listener.fd()), null, null.cast());
        accept.file_index(Some(slot)).build()
    }

    /// Clients in slots, without those that wait.
    fn served(&self) -> u32 {
        self.slots.held() - self.waiting.len() as u32
    }

    /// Reports when the last slot is taken, and when one is free again.
    pub(super) fn tell_capacity(&mut self) {
        if self.stage == Stage::Serving && self.full == self.has_room() {
            self.full = !self.full;
            let (served, waiting) = (self.served(), self.waiting.len() as u32);
            self.tell(&if self.full { Event::Full { served, waiting } } else { Event::Room });
        }
    }
}
