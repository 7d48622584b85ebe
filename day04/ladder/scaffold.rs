//! What every rung needs and no rung is about. Read this file before a rung: it has the loop
//! and what a rung adds to it. `scaffold/server.rs` lets clients in (that is day 03), closes
//! connections and stops; `scaffold/words.rs` has the command line and the summary.
//!
//! Simpler than day 04 in what it leaves out, which no rung has:
//! - a full table: the client that finds it full is lost (day 04 lets clients in one by one
//!   before that happens);
//! - deadlines: a client that says nothing keeps its slot;
//! - the lingering end: a client that is still sending when it is closed gets a reset;
//! - the stop: what has arrived by then is not answered.

// Part of every rung; no rung uses all of it.
#![allow(dead_code, unused_imports)]

use std::ops::Range;
use std::process::ExitCode;
use std::sync::atomic::AtomicU64;

use anyhow::Result;
use common::environment;
use common::listener::Listener;
use common::memory::forever;
use common::ring::{self, RingOptions, SetupFlags};
use common::signals::StopSignals;
use common::talk::Talk;
use common::token::Op;
use io_uring::IoUring;
use serde_json::{Value, json};

pub use self::server::{Server, farewell};
pub use self::words::{Basics, Counts, Options, Reply, announce, summarise};

mod server;
mod words;

/// Submission queue entries of every rung: about as many clients as one turn serves.
pub const ENTRIES: u32 = 256;
/// Bytes that one receive takes.
pub const BUFFER: usize = 4096;
/// The journal's answer.
pub const ACK: &[u8; 4] = b"ack\0";

// ANCHOR: rung
/// What a rung does in its own way. Everything else is the scaffold's.
pub trait Rung {
    /// Takes a completion for a client who is still there, and prepares what follows.
    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()>;

    /// Submits what was prepared, and waits.
    fn wait(&mut self, server: &mut Server<'_>) -> Result<()> {
        server.submit_and_wait(1)
    }

    /// What the line with the address says besides, with `--json`.
    fn details(&self) -> Value {
        json!({})
    }
}
// ANCHOR_END: rung

/// A completion for a client who is still there. The first one is the accept's.
#[derive(Clone, Copy, Debug)]
pub struct Done {
    pub op: Op,
    pub slot: u32,
    pub result: i32,
    pub flags: u32,
}

/// A client with a buffer of its own: all but those of rungs 3 and 5.
pub struct Client {
    /// The kernel's while anything is in flight.
    pub buffer: [u8; BUFFER],
    /// What is still to be sent of it, as far as we know.
    pub unsent: Range<usize>,
    /// It has asked for something.
    pub asked: bool,
}

impl Client {
    /// One for each slot, in memory that is never freed.
    pub fn table(slots: u32) -> &'static mut Vec<Client> {
        let empty = |_| Client { buffer: [0; BUFFER], unsent: 0..0, asked: false };
        forever((0..slots).map(empty).collect())
    }
}

/// The exit code of a rung, and what went wrong on stderr.
pub fn report(result: Result<()>) -> ExitCode {
    environment::report(env!("CARGO_BIN_NAME"), result)
}

/// The ring of most rungs: the best that this kernel has for one thread.
pub fn ring() -> Result<IoUring> {
    Ok(ring::build_best(&RingOptions::default(), ENTRIES)?.0)
}

/// The ring that is asked for, without a flag more.
pub fn plain_ring(asked: &RingOptions) -> Result<IoUring> {
    let flags = SetupFlags::default();
    let ring = ring::build(asked, ENTRIES, flags);
    Ok(ring.map_err(|error| ring::refusal(asked, ENTRIES, flags, &error))?)
}

/// Serves on this ring from the first client to the summary.
pub fn serve(title: &str, options: &Options, mut ring: IoUring, mut rung: impl Rung) -> Result<()> {
    let signals = StopSignals::block()?;
    let listener = Listener::bind(options.basics.listen)?;
    let taken = AtomicU64::new(0);
    let mut server = Server::new(&mut ring, &listener, &signals, &taken, &options.basics)?;
    let mut talk = Talk::new(options.basics.talk);
    announce(&mut talk, title, listener.address(), options.reply, rung.details());
    while turn(&mut server, &mut rung)? {}
    summarise(&mut talk, &server.counts(), json!({}));
    Ok(())
}

// ANCHOR: turn
/// One turn of the loop. `false` when the last client has left after a stop.
pub fn turn(server: &mut Server<'_>, rung: &mut impl Rung) -> Result<bool> {
    if !server.goes_on()? {
        return Ok(false);
    }
    rung.wait(server)?;
    while let Some(done) = server.next()? {
        rung.handle(server, done)?;
    }
    Ok(true)
}
// ANCHOR_END: turn
