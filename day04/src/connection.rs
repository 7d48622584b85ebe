//! The record of one connection between its completions.

use std::time::Instant;

use crate::receive::Input;
use crate::reply::Output;

/// One client. Its slot is its index in the table of connections.
#[derive(Debug)]
pub struct Connection {
    pub stage: Stage,
    /// Its input: `receive.rs`.
    pub input: Input,
    /// Its output: `reply.rs`.
    pub output: Output,
    /// When bytes last came or went, or its end began: `timeouts.rs`.
    pub last_progress: Instant,
}

// ANCHOR: stage
/// The stages of a connection's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The slot has no client.
    Empty,
    /// Accepted beyond the capacity: it waits in a spare slot, with nothing in flight.
    Waiting,
    /// Requests are received and answered.
    Open,
    /// The last reply and our end are on their way. What the client still sends is discarded,
    /// until its end.
    Finishing,
    /// Everything in flight on it is being cancelled.
    Aborting,
    /// The slot is being closed.
    Closing,
}
// ANCHOR_END: stage

impl Connection {
    /// For an empty slot.
    pub fn new() -> Connection {
        Connection {
            stage: Stage::Empty,
            input: Input::default(),
            output: Output::new(),
            last_progress: Instant::now(),
        }
    }

    /// A new client is in the slot.
    pub fn begin(&mut self) {
        self.stage = Stage::Waiting;
        self.input = Input::default();
    }
}
