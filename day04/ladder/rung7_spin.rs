//! Rung 7: a bounded spin before sleeping.
//!
//! ```text
//! cargo run -p day04 --example rung7_spin -- --reply echo --spin 50
//! ```
//!
//! This is rung 4 with two differences:
//! - The turn submits without waiting, and then looks at the completion queue, which is
//!   memory, for up to `--spin` microseconds. Only when nothing has come does it go to sleep.
//!   Going to sleep and being woken take longer than the answer of a near client, so each
//!   request is faster, though it is still a call (the one that submits), and two when the
//!   spin was in vain. Counting calls is not everything.
//! - The ring does without COOP_TASKRUN and DEFER_TASKRUN. With the second a program that spins
//!   sees no completion at all, with the first none before the next interrupt.
//!
//! What it costs: the processor, which no other program gets while it spins. If clients are far
//! away or slow, every spin is in vain.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use clap::Parser;
use common::ring::RingOptions;

use self::rung4::Linked;
use self::rung4::scaffold::{self, Done, Options, Rung, Server};

#[allow(dead_code)] // its `main`
#[path = "rung4_linked.rs"]
pub(crate) mod rung4;

/// Rung 7 of the ladder: a bounded spin before sleeping
#[derive(Parser)]
struct Cli {
    /// RUNG 7: microseconds to look for a completion before going to sleep
    #[arg(long, value_name = "US", default_value_t = 50)]
    spin: u32,

    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    scaffold::report(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<()> {
    // RUNG 7: no task-run flags: completions interrupt the program, wherever it is.
    let ring = scaffold::plain_ring(&RingOptions::default())?;
    let title = "rung 7 · a bounded spin before sleeping";
    scaffold::serve(title, &cli.options, ring, Spin::new(cli.spin, &cli.options))
}

/// Rung 8 uses it, too.
pub struct Spin {
    linked: Linked,
    spin: Duration,
}

impl Spin {
    /// Looks for `spin` microseconds.
    pub fn new(spin: u32, options: &Options) -> Spin {
        Spin { linked: Linked::new(options), spin: Duration::from_micros(spin.into()) }
    }
}

impl Rung for Spin {
    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        self.linked.handle(server, done)
    }

    // ANCHOR: wait
    /// RUNG 7: submits, looks for a while, and sleeps if nothing has come.
    fn wait(&mut self, server: &mut Server<'_>) -> Result<()> {
        server.queues.submit_and_wait(0, None).context("submitting")?;
        let start = Instant::now();
        while !server.queues.has_completion() && start.elapsed() < self.spin {
            std::hint::spin_loop();
        }
        // No system call if a completion is there.
        server.submit_and_wait(1)
    }
    // ANCHOR_END: wait
}
