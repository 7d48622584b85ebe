//! Deadlines for clients that send nothing, that do not read, or that do not end.
//!
//! They need no timer each: the one wait of a turn ends at the first deadline.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::accept::Accept;
use crate::connection::{Connection, Stage};
use crate::events::Event;
use crate::server::Server;
use crate::stop::Ending;

/// How long a client may go on after its last reply before it is aborted, and how long a stop
/// waits for clients to take their replies.
pub const LINGER: Duration = Duration::from_secs(2);
/// How long a client may leave its replies unread when the buffers have run out.
const UNREAD: Duration = Duration::from_secs(1);

/// The deadlines, and when to look for missed ones.
pub struct Timeouts {
    /// How long a client may send nothing and take nothing of its replies.
    pub idle: Duration,
    /// No deadline is earlier than this; `None` if there is no deadline.
    pub look_at: Option<Instant>,
}

impl Timeouts {
    // ANCHOR: due
    /// The deadline of a connection. `scarce`: the kernel has no buffer left.
    fn due(&self, connection: &Connection, scarce: bool) -> Option<Instant> {
        let allowed = match connection.stage {
            Stage::Empty | Stage::Waiting | Stage::Closing => return None,
            // A client that does not read holds a few buffers. It may, while there are others.
            Stage::Open if scarce && !connection.output.replies.is_empty() => UNREAD.min(self.idle),
            Stage::Open => self.idle,
            Stage::Finishing | Stage::Aborting => LINGER,
        };
        Some(connection.last_progress + allowed)
    }
    // ANCHOR_END: due
}

impl Server<'_> {
    /// A connection made progress: bytes came or went, or its end began.
    pub fn note_progress(&mut self, slot: u32) {
        let connection = &mut self.connections[slot as usize];
        connection.last_progress = self.now;
        // The earlier deadline may be this connection's old one. Then one look finds no missed
        // deadline.
        let due = self.timeouts.due(connection, false);
        self.timeouts.look_at = self.timeouts.look_at.into_iter().chain(due).min();
    }

    // ANCHOR: overdue
    /// Aborts the connections whose time is up.
    pub fn abort_overdue(&mut self) -> Result<()> {
        let scarce = self.receiving.groups.single.with_kernel() == 0;
        let look_at = &mut self.timeouts.look_at;
        if scarce {
            *look_at = look_at.map(|at| at.min(self.now + UNREAD));
        }
        if look_at.is_some_and(|at| at <= self.now) {
            *look_at = None;
            for slot in 0..self.connections.len() as u32 {
                self.abort_if_overdue(slot, scarce)?;
            }
        }
        self.abort_after_grace()
    }
    // ANCHOR_END: overdue

    fn abort_if_overdue(&mut self, slot: u32, scarce: bool) -> Result<()> {
        let connection = &self.connections[slot as usize];
        let Some(due) = self.timeouts.due(connection, scarce) else { return Ok(()) };
        if due > self.now {
            self.timeouts.look_at = self.timeouts.look_at.into_iter().chain([due]).min();
            return Ok(());
        }
        if connection.stage == Stage::Open {
            self.counts.timed_out += 1;
            self.report(&Event::TimedOut { slot });
        }
        self.abort(slot)
    }

    /// How long the wait may last: until the first deadline of a client, the end of the pause
    /// before the next accept, or the end of the grace after a stop signal.
    pub fn until_deadline(&self) -> Option<Duration> {
        let mut first = self.timeouts.look_at;
        if let Accept::Resting { until } = self.accepting.accept {
            first = first.into_iter().chain([until]).min();
        }
        if let Ending::Grace { until } = self.stopping.ending {
            first = first.into_iter().chain([until]).min();
        }
        first.map(|first| first.saturating_duration_since(self.now))
    }
}
