//! Rung 8: SQPOLL. A kernel thread takes the entries, and submitting is not a call any more.
//!
//! ```text
//! cargo run -p day04 --example rung8_sqpoll -- --reply echo --sq-idle 1000
//! ```
//!
//! This is rung 7 on another ring: IORING_SETUP_SQPOLL starts a kernel thread that
//! looks at the submission queue. The program writes entries and reads completions, all of it
//! memory; it enters the kernel only when a spin was in vain, or to wake the thread, which
//! sleeps after `--sq-idle` milliseconds without work. Busy, that is nearly no call at all.
//!
//! What it costs: a processor that polls as long as there is work and `--sq-idle` longer, and
//! this one while it spins. With fewer than three processors for the two and the clients,
//! they keep each other from working: then fewer calls mean fewer requests a second.
//!
//! What day 04 has and this has not: see `scaffold.rs`. (Day 04 has `--sqpoll` too, without
//! the spin.)

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use common::ring::RingOptions;

use self::rung7::Spin;
use self::rung7::rung4::scaffold::{self, Options};

#[allow(dead_code)] // its `main`
#[path = "rung7_spin.rs"]
mod rung7;

/// Rung 8 of the ladder: a kernel thread takes the entries
#[derive(Parser)]
struct Cli {
    /// Microseconds to look for a completion before going to sleep
    #[arg(long, value_name = "US", default_value_t = 50)]
    spin: u32,

    /// RUNG 8: milliseconds without work until the kernel thread sleeps
    #[arg(long, value_name = "MS", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    sq_idle: u32,

    /// RUNG 8: the processor that the kernel thread is bound to
    #[arg(long, value_name = "CPU")]
    sq_cpu: Option<u32>,

    #[command(flatten)]
    options: Options,
}

fn main() -> ExitCode {
    scaffold::report(run(&Cli::parse()))
}

fn run(cli: &Cli) -> Result<()> {
    // ANCHOR: ring
    // RUNG 8: a thread of the kernel takes what this one writes into the queue.
    let ring = scaffold::plain_ring(&RingOptions {
        sqpoll: true,
        sq_idle: Some(cli.sq_idle),
        sq_cpu: cli.sq_cpu,
        ..RingOptions::default()
    })?;
    // ANCHOR_END: ring
    // RUNG 8: the wait is rung 7's, but to submit is not a call unless the thread must be woken.
    let title = "rung 8 · a kernel thread takes the entries";
    scaffold::serve(title, &cli.options, ring, Spin::new(cli.spin, &cli.options))
}
