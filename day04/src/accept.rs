//! Letting clients in without losing one: as on day 3, and then straight to the first receive.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use common::listener::Listener;
use common::token::{Op, Token};
use io_uring::types::{DestinationSlot, Fd};
use io_uring::{cqueue, opcode};

use crate::connection::Stage;
use crate::events::Event;
use crate::server::Server;
use crate::stop::Ending;

/// The pause before the next accept after one that failed because memory or files ran out.
const REST: Duration = Duration::from_millis(100);

/// Which clients are accepted, and when.
pub struct Accepting {
    pub listener: Listener,
    pub accept: Accept,
    /// Clients that are served at a time.
    pub capacity: u32,
    /// Whether one accept may let in several clients: the table has enough spare slots.
    pub multishot: bool,
    /// Connections to serve before stopping.
    pub max: Option<u64>,
    /// Clients in spare slots, in the order they came.
    pub waiting: VecDeque<u32>,
}

/// What the accept is doing. There is never a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accept {
    /// It has not begun, or has ended.
    Idle,
    /// The kernel has it.
    Armed,
    /// The kernel has it, and a cancel for it.
    Cancelled,
    /// It failed, and would fail again if it were armed at once.
    Resting { until: Instant },
}

/// What to do about the accept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    Arm,
    Cancel,
}

// ANCHOR: rules
/// Slots that the table must have beyond the clients that are served.
///
/// A direct accept on a full table fails with ENFILE *after* it took the client off the backlog:
/// that client is lost. So the accept is armed only while a slot is free, and otherwise cancelled.
/// But a multishot goes on accepting until the program has seen its completions and cancelled it.
/// It posts one completion for each client, and ends when the completion queue is full. So it can
/// be ahead by a full queue when the program decides to cancel, and by another full queue when the
/// cancel takes effect. The 1 in each is the completion that ends it.
pub fn spare_slots(cq_entries: u32) -> u32 {
    2 * (cq_entries + 1)
}
// ANCHOR_END: rules

impl Accept {
    // ANCHOR: next
    /// What to do about the accept, now that there is room for another client, or not.
    pub fn next(&mut self, room: bool, now: Instant) -> Option<Act> {
        match *self {
            Accept::Resting { until } if now < until => None,
            Accept::Idle | Accept::Resting { .. } if room => {
                *self = Accept::Armed;
                Some(Act::Arm)
            }
            Accept::Armed if !room => {
                *self = Accept::Cancelled;
                Some(Act::Cancel)
            }
            _ => None,
        }
    }
    // ANCHOR_END: next

    /// Whether a completion of it is still to come.
    pub fn is_in_flight(self) -> bool {
        matches!(self, Accept::Armed | Accept::Cancelled)
    }
}

impl Server<'_> {
    /// Adds the accept, or a cancel for it, as the free slots demand.
    pub fn add_accept(&mut self) -> Result<()> {
        let Accepting { listener, accept, capacity, multishot, .. } = &mut self.accepting;
        let room = self.stopping.ending == Ending::No && self.slots.held() < *capacity;
        let listener = Fd(listener.fd());
        let entry = match accept.next(room, self.now) {
            Some(Act::Arm) if *multishot => {
                opcode::AcceptMulti::new(listener).allocate_file_index(true).build()
            }
            // Without spare slots one client at a time is let in.
            Some(Act::Arm) => {
                let (null, slot) = (std::ptr::null_mut(), DestinationSlot::auto_target());
                opcode::Accept::new(listener, null, null.cast()).file_index(Some(slot)).build()
            }
            Some(Act::Cancel) => return self.add_cancel(Token::of(Op::Accept)),
            None => return Ok(()),
        };
        self.push(Token::of(Op::Accept), entry)
    }

    /// A client, or the end of the accept. One completion may be both.
    pub fn handle_accept(&mut self, result: i32, flags: u32) -> Result<()> {
        if !cqueue::more(flags) {
            self.accepting.accept = Accept::Idle;
        }
        let Ok(slot) = u32::try_from(result) else { return self.accept_failed(-result) };
        self.slots.occupy(slot);
        self.connections[slot as usize].begin();
        // The accept was cancelled, and this client came first. It is served like the others,
        // unless there are enough of them, or the grace after a stop signal is over.
        if self.accepting.max == Some(self.counts.connections)
            || self.stopping.ending == Ending::Over
        {
            return self.close(slot);
        }
        // ANCHOR: capacity
        self.counts.connections += 1;
        let enough = self.accepting.max == Some(self.counts.connections);
        if enough && self.stopping.ending == Ending::No {
            self.stopping.ending = Ending::Enough;
        }
        let served = self.slots.held() - self.accepting.waiting.len() as u32;
        if served > self.accepting.capacity && !self.stopping.signalled() {
            self.accepting.waiting.push_back(slot);
            return Ok(());
        }
        self.open(slot)
        // ANCHOR_END: capacity
    }

    /// A client is served from now on: its first request may come.
    pub fn open(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Open;
        self.note_progress(slot);
        self.receive_next(slot)
    }

    fn accept_failed(&mut self, errno: i32) -> Result<()> {
        let error = io::Error::from_raw_os_error(errno);
        match errno {
            libc::ECANCELED | libc::ECONNABORTED | libc::EINTR | libc::EAGAIN => Ok(()),
            libc::EINVAL if self.counts.connections == 0 => {
                Err(error).context("accepting into a slot, which needs Linux 5.19")
            }
            // The system is out of memory or files, or the network is down: try again later.
            _ => {
                self.accepting.accept = Accept::Resting { until: self.now + REST };
                self.report(&Event::AcceptFailed { error: error.to_string() });
                Ok(())
            }
        }
    }
}

#[cfg(test)]
#[path = "../tests/unit/accept.rs"]
mod tests;
