//! Stopping: after a signal, and after `--max` connections.

use std::time::Instant;

use anyhow::Result;
use common::signals::StopSignals;
use common::token::{Op, Token};
use io_uring::opcode;
use io_uring::types::Fd;

use crate::events::Event;
use crate::server::Server;
use crate::timeouts::LINGER;

/// Whether the server is stopping, and how long its clients still have.
pub struct Stopping<'ring> {
    pub signals: &'ring mut StopSignals,
    /// No more clients are let in.
    pub accepted_all: bool,
    /// A signal came: only what has arrived by now is received.
    pub signalled: bool,
    /// When the clients that are left are aborted.
    pub grace: Option<Instant>,
    /// The read of the signals is in flight.
    pub reading: bool,
}

impl Server<'_> {
    pub fn add_signal_read(&mut self) -> Result<()> {
        let signals = &mut self.stopping.signals;
        let (record, length) = signals.record();
        let read = opcode::Read::new(Fd(signals.fd()), record, length).build();
        self.stopping.reading = true;
        self.push(Token::of(Op::Signal), read)
    }

    // ANCHOR: signal
    /// A stop signal. After the first one clients have a grace; the second one ends that.
    pub fn handle_signal(&mut self, result: i32) -> Result<()> {
        self.stopping.reading = false;
        if self.everybody_has_left() {
            return Ok(()); // cancelled by us
        }
        // A read that fails for good would never bring a signal, so it stops the server, too.
        if !matches!(-result, libc::EINTR | libc::EAGAIN) {
            self.report(&Event::Stopping { signal: self.stopping.signals.name() });
            let second = self.stopping.signalled;
            self.stopping.grace = Some(if second { self.now } else { self.now + LINGER });
            self.stop()?;
        }
        self.add_signal_read()
    }
    // ANCHOR_END: signal

    // ANCHOR: stop
    /// No more clients, and no more requests. What has arrived is answered, as if every client
    /// had ended now. Clients in spare slots are served there.
    ///
    /// Each armed receive is cancelled, and the next one does not wait: when it finds nothing,
    /// the client's input has ended.
    fn stop(&mut self) -> Result<()> {
        self.stop_accepting();
        self.stopping.signalled = true;
        self.cancel_receives()?;
        while let Some(slot) = self.accepting.waiting.pop_front() {
            self.open(slot)?;
        }
        Ok(())
    }
    // ANCHOR_END: stop

    /// Aborts the clients that are left when the grace is over.
    pub fn abort_after_grace(&mut self) -> Result<()> {
        if self.stopping.grace.is_some_and(|end| end <= self.now) {
            self.stopping.grace = None;
            for slot in 0..self.connections.len() as u32 {
                if self.slots.generation(slot).is_some() {
                    self.abort(slot)?;
                }
            }
        }
        Ok(())
    }

    /// No more clients are let in; those that are here may stay.
    pub fn stop_accepting(&mut self) {
        self.accepting.admission.close();
        self.stopping.accepted_all = true;
    }

    /// A stop signal came, and its grace is over.
    pub fn is_too_late(&self) -> bool {
        self.stopping.signalled && self.stopping.grace.is_none()
    }

    /// When everybody has left, nothing is in flight but the read of the signals.
    pub fn cancel_last_read(&mut self) -> Result<()> {
        if self.everybody_has_left() { self.add_cancel(Token::of(Op::Signal)) } else { Ok(()) }
    }

    pub fn is_done(&self) -> bool {
        self.everybody_has_left() && !self.stopping.reading
    }

    fn everybody_has_left(&self) -> bool {
        self.stopping.accepted_all && self.slots.held() == 0 && !self.accepting.admission.is_armed()
    }
}
