//! Rung 2: one submit a turn.
//!
//! ```text
//! cargo run -p day04 --example rung2_one_submit -- --reply echo
//! ```
//!
//! This is rung 1 without its submit after each operation, and no other line. What a turn
//! prepared stays in the submission queue, and the call that waits for the next completions
//! takes all of it along. With one client two calls a request (echo), four a connection
//! (ack); with many clients their operations share the calls.
//!
//! Two and not one, because the send completes while it is being submitted: the wait ends at
//! once, with nothing new from the client. Rung 4 mends that.
//!
//! What day 04 has and this has not: see `scaffold.rs`; besides, a client ties up a buffer
//! even while it is silent.

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use self::rung1::Journal;
use self::rung1::scaffold::{self, Done, Options, Rung, Server};

#[allow(dead_code)] // its `main`
#[path = "rung1_journal.rs"]
mod rung1;

fn main() -> ExitCode {
    scaffold::report(run(&Options::parse()))
}

fn run(options: &Options) -> Result<()> {
    let title = "rung 2 · one submit a turn";
    scaffold::serve(title, options, scaffold::ring()?, OneSubmit(Journal::new(options)))
}

struct OneSubmit(Journal);

impl Rung for OneSubmit {
    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        // ANCHOR: no_submit
        // RUNG 2: no submit after it. The wait takes along what the turn prepared.
        self.0.converse(server, done)
        // ANCHOR_END: no_submit
    }
}
