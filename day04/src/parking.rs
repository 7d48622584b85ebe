//! Connections that wait for a buffer.

use std::collections::VecDeque;

use anyhow::Result;

use crate::receive::Receive;
use crate::server::Server;

/// The connections that wait, oldest first.
pub struct Parking {
    pub queue: VecDeque<u32>,
}

impl Server<'_> {
    /// Puts a connection behind those that wait already.
    pub fn park(&mut self, slot: u32) {
        self.counts.out_of_buffers += 1;
        self.connections[slot as usize].input.receive = Receive::Parked;
        self.parking.queue.push_back(slot);
    }

    // ANCHOR: unpark
    /// Adds the receives of parked connections, as many as there are buffers. A client that is
    /// silent takes no buffer, so more may follow in the next turn.
    pub fn unpark(&mut self) -> Result<()> {
        for _ in 0..self.receiving.groups.single.with_kernel() {
            let Some(slot) = self.parking.queue.pop_front() else { break };
            // The client may have sent long ago: the connection waited for a buffer, not for the
            // client.
            self.note_progress(slot);
            self.add_receive(slot)?;
        }
        Ok(())
    }
    // ANCHOR_END: unpark

    /// Whether a connection is parked although a buffer is there.
    pub fn can_unpark(&self) -> bool {
        !self.parking.queue.is_empty() && self.receiving.groups.single.with_kernel() > 0
    }

    /// Removes a connection that is aborted.
    pub fn leave_queue(&mut self, slot: u32) {
        let receive = &mut self.connections[slot as usize].input.receive;
        if *receive == Receive::Parked {
            *receive = Receive::Idle;
            self.parking.queue.retain(|parked| *parked != slot);
        }
    }
}
