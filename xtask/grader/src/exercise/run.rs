//! A run of a learner's program: what can be seen of it at any moment.
//!
//! [`start`] has the start of a program, [`waits`] each wait for it, [`clients`] those of a server,
//! and [`end`] its end.

mod clients;
mod end;
mod start;
mod waits;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use ringtrace::Trace;
use ringtrace::ring::RingNow;
use ringtrace::summary::Summary;

use super::failure::Failure;
use super::hang;
use super::launch::Seen;
use super::printed::Printed;
use super::record::Record;

/// The pause between two looks of a wait.
const LOOK: Duration = Duration::from_millis(5);

/// A running program. Dropping this value kills it and all processes that it started.
#[derive(Debug)]
pub struct Run {
    /// `Some` until the run has ended.
    trace: Option<Trace>,
    /// The record, once the run has ended.
    done: Option<Record>,
    pid: Pid,
    stdout: Printed,
    stderr: Printed,
    stdout_is: String,
    stderr_is: String,
    did: String,
    patience: Duration,
    events: usize,
    began: Instant,
    address: Option<SocketAddr>,
    slots_before: Vec<u32>,
    burnt: Duration,
    seen: Arc<Mutex<Seen>>,
}

impl Run {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw() as u32
    }

    /// Sets what the client has done, in the words of a verdict.
    pub fn did(&mut self, did: impl Into<String>) {
        self.did = did.into();
    }

    /// Whether it has ended by itself.
    pub fn ended(&self) -> bool {
        self.trace.as_ref().is_none_or(Trace::ended)
    }

    /// The record so far.
    pub fn record(&self) -> Record {
        let Some(trace) = &self.trace else { return self.done.clone().unwrap_or_default() };
        Record {
            events: trace.events(),
            calls: trace.calls(),
            summary: trace.summary(),
            stdout: self.stdout.text(),
            stderr: self.stderr.text(),
            stdout_is: self.stdout_is.clone(),
            stderr_is: self.stderr_is.clone(),
            status: None,
            did: self.did.clone(),
            burnt: self.burnt,
        }
    }

    /// The totals so far. Cheaper than the whole record.
    pub fn summary(&self) -> Summary {
        match (&self.trace, &self.done) {
            (Some(trace), _) => trace.summary(),
            (None, done) => done.as_ref().map(|it| it.summary.clone()).unwrap_or_default(),
        }
    }

    /// Its open rings at this moment.
    pub fn rings(&self) -> Vec<RingNow> {
        self.trace.as_ref().map(Trace::rings).unwrap_or_default()
    }

    /// Its output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    /// The slots that are taken in its rings' registered file tables.
    ///
    /// # Errors
    /// Not observed, if the kernel does not list them.
    pub fn slots(&self) -> Result<Vec<u32>, Failure> {
        testkit::ring_slots(self.pid())
            .map_err(|error| Failure::not_observed(format!("the taken slots: {error}")))
    }

    /// Its open descriptors and their files.
    ///
    /// # Errors
    /// Not observed, if the kernel does not list them.
    pub fn descriptors(&self) -> Result<BTreeMap<i32, String>, Failure> {
        testkit::descriptors(self.pid())
            .map_err(|error| Failure::not_observed(format!("the open descriptors: {error}")))
    }

    /// Sends a signal to the program.
    pub fn signal(&self, signal: Signal) {
        if let Some(trace) = &self.trace {
            trace.signal(signal);
        }
    }

    /// The slots that were taken when it printed its address, before the first client.
    pub fn slots_before(&self) -> &[u32] {
        &self.slots_before
    }

    /// This moment by the record's clock, in microseconds.
    pub fn clock(&self) -> u64 {
        self.trace.as_ref().map_or(u64::MAX, Trace::clock)
    }

    /// The CPU time that it has used.
    pub fn cpu(&self) -> Duration {
        hang::cpu(self.pid())
    }
}
