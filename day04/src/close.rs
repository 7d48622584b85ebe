//! Endings: of a connection, of patience, and of the server.

use anyhow::Result;
use common::signals::StopSignals;
use common::token::Op;
use io_uring::opcode;
use io_uring::types::Fixed;
use serde_json::json;

use crate::Reply;
use crate::connection::Stage;
use crate::server::{LINGER, Server};

impl Server<'_> {
    // ANCHOR: settle
    /// Asks whether a connection is done, after each of its completions.
    pub fn settle(&mut self, slot: u32) -> Result<()> {
        let connection = self.connections[slot as usize];
        let quiet = self.slots.in_flight(slot) == 0;
        match connection.stage {
            Stage::Open if connection.end_of_input && connection.replies.is_empty() && quiet => {
                if self.cut_off && self.reply == Reply::Echo {
                    return self.end_our_side(slot);
                }
                self.close(slot)
            }
            // Unless its input was cut off by us: then the client may still be sending.
            Stage::Answering if quiet && connection.end_of_input && !self.cut_off => {
                self.close(slot)
            }
            Stage::Answering if quiet => self.linger(slot),
            Stage::Ending if quiet => {
                self.drop_replies(slot);
                self.close(slot)
            }
            Stage::Closing if quiet => self.close(slot),
            _ => Ok(()),
        }
    }

    /// A connection must go, whatever it is doing. What waits for the client is cancelled:
    /// closing the slot alone would not end it.
    pub fn end(&mut self, slot: u32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        if matches!(connection.stage, Stage::Closing) {
            return Ok(());
        }
        let first = std::mem::replace(&mut connection.stage, Stage::Ending) != Stage::Ending;
        self.drop_replies(slot);
        self.idle.remove(slot);
        self.stalled.remove(slot);
        if first && self.slots.in_flight(slot) > 0 {
            for op in [Op::Recv, Op::Send, Op::Discard] {
                self.cancel(slot, op)?;
            }
        }
        self.settle(slot)
    }
    // ANCHOR_END: settle

    /// A shutdown completed. It fails when the client has gone, which its other completions
    /// tell as well.
    ///
    /// It needs a worker thread of the kernel. If there is none to be had (RLIMIT_NPROC, a
    /// cgroup's `pids.max`), it completes with ECANCELED: then it is the close that tells the
    /// client that our side has ended.
    pub fn shut(&mut self, slot: u32, result: i32) -> Result<()> {
        let connection = &mut self.connections[slot as usize];
        if result == -libc::ECANCELED && connection.stage == Stage::Answering {
            connection.shut = false;
        }
        self.settle(slot)
    }

    // ANCHOR: close
    /// Empties the slot. Nothing is in flight on it: a late completion would otherwise reach
    /// the next client.
    ///
    /// Before that, our side has ended. Up to Linux 6.12 a close alone ends nothing as long
    /// as an operation on *any* slot is in flight that is older than the close: the file is
    /// let go in order with those, and only then would the client see its end.
    pub fn close(&mut self, slot: u32) -> Result<()> {
        self.connections[slot as usize].stage = Stage::Closing;
        self.idle.remove(slot);
        self.lingering.remove(slot);
        self.stalled.remove(slot);
        if !std::mem::replace(&mut self.connections[slot as usize].shut, true) {
            let shutdown = opcode::Shutdown::new(Fixed(slot), libc::SHUT_RDWR).build();
            return self.push_prompt(slot, Op::Shutdown, shutdown); // its end comes back here
        }
        self.push_prompt(slot, Op::Close, opcode::Close::new(Fixed(slot)).build())
    }

    /// The slot is free: whoever waited longest is served. (If the close failed, the kernel
    /// keeps the slot and gives it to nobody else.)
    pub fn closed(&mut self, slot: u32) -> Result<()> {
        self.slots.release(slot);
        self.closed_since_renewal += 1;
        match self.waiting.pop_front() {
            Some(next) => self.open(next),
            None => Ok(()),
        }
    }
    // ANCHOR_END: close

    // ANCHOR: expire
    /// Ends the connections whose time is up.
    pub fn expire(&mut self) -> Result<()> {
        while let Some(slot) = self.lingering.expired(self.now) {
            self.end(slot)?;
        }
        while let Some(slot) = self.idle.expired(self.now) {
            self.time_out(slot)?;
        }
        while let Some(slot) = self.stalled.expired(self.now) {
            self.ask_unread(slot)?;
        }
        if self.grace.is_some_and(|end| end <= self.now) {
            self.grace = None;
            for slot in 0..self.limits.table {
                if self.slots.generation(slot).is_some() {
                    self.end(slot)?;
                }
            }
        }
        Ok(())
    }

    /// Whether clients wait for buffers who hold none. Only then must those go that leave
    /// their replies unread, and with them the buffers they hold.
    pub fn buffers_are_scarce(&self) -> bool {
        let holds_none = |slot: u32| self.connections[slot as usize].replies.is_empty();
        self.buffers.with_kernel() == 0 && self.parked.iter().any(|(slot, _)| holds_none(*slot))
    }

    pub fn time_out(&mut self, slot: u32) -> Result<()> {
        self.counts.timed_out += 1;
        self.talk.detail(
            format_args!("slot {slot}: no progress, closed"),
            json!({"event": "timed out", "slot": slot}),
        );
        self.end(slot)
    }
    // ANCHOR_END: expire

    // ANCHOR: stop
    /// A stop signal: the first one lets every client finish, the second one none.
    pub fn signalled(&mut self, result: i32, signals: &mut StopSignals) -> Result<()> {
        // Whatever else the read fails with, it would never bring a signal: so we stop, too.
        if !matches!(-result, libc::EINTR | libc::EAGAIN) {
            self.talk.detail(
                format_args!("{}: no more clients", signals.name()),
                json!({"event": "stopping", "signal": signals.name()}),
            );
            let second = self.grace.is_some();
            self.grace = Some(if second { self.now } else { self.now + LINGER });
            self.stop()?;
        }
        self.read_signal(signals)
    }

    /// No more clients and no more requests: what has arrived of those who are in is answered,
    /// as if every client had ended now. Who waits in a spare slot is served there.
    fn stop(&mut self) -> Result<()> {
        self.stopping = true;
        self.cut_off = true;
        self.admission.close();
        while let Some(slot) = self.waiting.pop_front() {
            self.open(slot)?;
        }
        for slot in 0..self.limits.table {
            if self.slots.generation(slot).is_some()
                && self.connections[slot as usize].stage == Stage::Open
            {
                self.stop_reading(slot)?;
            }
        }
        Ok(())
    }

    /// What has arrived is still received, by receives that do not wait (a parked
    /// connection's when it gets a buffer). The first that finds nothing ends the input.
    fn stop_reading(&mut self, slot: u32) -> Result<()> {
        self.cancel_receive(slot)
    }
    // ANCHOR_END: stop
}
