//! Stopping: after a signal, and after `--max` connections.

use std::time::{Duration, Instant};

use anyhow::Result;
use common::signals::StopSignals;
use common::token::{Op, Token};
use io_uring::opcode;
use io_uring::types::Fd;

use crate::events::Event;
use crate::server::Server;
use crate::timeouts::LINGER;

/// Whether the server is stopping, and the signals that stop it.
pub struct Stopping {
    pub signals: StopSignals,
    pub ending: Ending,
}

// ANCHOR: ending
/// The stages up to the server's end. Clients are accepted only in the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    No,
    /// There were enough clients (`--max`). Those that are here may stay.
    Enough,
    /// A signal came: only what has arrived by now is received, and answered until then.
    Grace {
        until: Instant,
    },
    /// The grace is over, and the clients that were left are aborted.
    Over,
}
// ANCHOR_END: ending

impl Stopping {
    /// A stop signal came.
    pub fn signalled(&self) -> bool {
        matches!(self.ending, Ending::Grace { .. } | Ending::Over)
    }
}

impl Server<'_> {
    pub fn add_signal_read(&mut self) -> Result<()> {
        let signals = &mut self.stopping.signals;
        let (record, length) = signals.record();
        let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
        self.push(Token::of(Op::Signal), read)
    }

    // ANCHOR: signal
    /// A stop signal. After the first one clients have a grace; the second one ends that.
    pub fn handle_signal(&mut self, result: i32) -> Result<()> {
        // A read that fails for good would never bring a signal, so it stops the server, too.
        if !matches!(-result, libc::EINTR | libc::EAGAIN) {
            self.report(&Event::Stopping { signal: self.stopping.signals.name() });
            let grace = if self.stopping.signalled() { Duration::ZERO } else { LINGER };
            self.stopping.ending = Ending::Grace { until: self.now + grace };
            self.stop()?;
        }
        self.add_signal_read()
    }
    // ANCHOR_END: signal

    // ANCHOR: stop
    /// No more requests: what has arrived is answered, as if every client had ended now.
    /// Clients in spare slots are served there.
    ///
    /// Each armed receive is cancelled, and the next one does not wait: when it finds nothing,
    /// the client's input has ended.
    fn stop(&mut self) -> Result<()> {
        self.cancel_receives()?;
        while let Some(slot) = self.accepting.waiting.pop_front() {
            self.open(slot)?;
        }
        Ok(())
    }
    // ANCHOR_END: stop

    /// Aborts the clients that are left when the grace is over.
    pub fn abort_after_grace(&mut self) -> Result<()> {
        if matches!(self.stopping.ending, Ending::Grace { until } if until <= self.now) {
            self.stopping.ending = Ending::Over;
            for slot in 0..self.connections.len() as u32 {
                if self.slots.generation(slot).is_some() {
                    self.abort(slot)?;
                }
            }
        }
        Ok(())
    }

    /// All clients have left. The read of the signals may stay in flight: its record is never freed.
    pub fn is_done(&self) -> bool {
        self.stopping.ending != Ending::No
            && self.slots.held() == 0
            && !self.accepting.accept.is_in_flight()
    }
}
