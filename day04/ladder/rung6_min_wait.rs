//! Rung 6: min-wait. The wait gathers completions for a moment before it returns.
//!
//! ```text
//! cargo run -p day04 --example rung6_min_wait -- --reply echo --min-wait 200
//! ```
//!
//! This is rung 4 (rung 5 is a branch of its own) with another wait. It asks for one
//! completion from every client, and gives them `--min-wait` microseconds for it; after that
//! a single one is enough. Clients who send at about the same time share a call, whatever the
//! order in which they come. With one client nothing is gathered: one call a request.
//!
//! What it costs: a client waits for the slower ones, up to the whole min-wait; idle clients,
//! who send nothing, make that the rule. Needs Linux 6.12; without it this is rung 4, and
//! says so.
//!
//! What day 04 has and this has not: see `scaffold.rs`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use serde_json::{Value, json};

use self::rung4::Linked;
use self::rung4::scaffold::{self, Done, ENTRIES, Options, Rung, Server};

#[allow(dead_code)] // its `main`
#[path = "rung4_linked.rs"]
mod rung4;

/// Rung 6 of the ladder: a wait that gathers completions
#[derive(Parser)]
struct Cli {
    /// RUNG 6: microseconds that the wait gathers completions for
    #[arg(long, value_name = "US", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    min_wait: u32,

    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    scaffold::report(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<()> {
    let ring = scaffold::ring()?;
    // RUNG 6: a feature bit says whether the kernel knows it (IORING_FEAT_MIN_TIMEOUT).
    let min_wait = ring.params().is_feature_min_timeout().then_some(cli.min_wait);
    let title = match min_wait {
        Some(_) => "rung 6 · a wait that gathers completions",
        None => "rung 6 · no min-wait before Linux 6.12, so the wait ends at the first completion",
    };
    let rung = MinWait { linked: Linked::new(&cli.options), min_wait };
    scaffold::serve(title, &cli.options, ring, rung)
}

struct MinWait {
    linked: Linked,
    /// In microseconds, if the kernel has it.
    min_wait: Option<u32>,
}

impl Rung for MinWait {
    fn handle(&mut self, server: &mut Server<'_>, done: Done) -> Result<()> {
        self.linked.handle(server, done)
    }

    // ANCHOR: wait
    /// RUNG 6: one completion a client, or fewer when time is up, but never none.
    fn wait(&mut self, server: &mut Server<'_>) -> Result<()> {
        let Some(min_wait) = self.min_wait else { return server.submit_and_wait(1) };
        let clients = server.slots.held().clamp(1, ENTRIES);
        let (min_wait, patience) = (Duration::from_micros(min_wait.into()), server.patience());
        server.queues.submit_and_gather(clients, min_wait, patience).context("waiting")
    }
    // ANCHOR_END: wait

    fn details(&self) -> Value {
        json!({"min_wait": self.min_wait})
    }
}
