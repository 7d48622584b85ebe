//! Clients at their worst, against the program itself: resets, floods, clients that never
//! read, tiny rings, signals, and conversations made up at random.
//!
//! What `tests/server` provokes on one ring is provoked here at every stage and on each
//! ring of [`RINGS`]. Every byte that comes back is compared with the one that was sent, and
//! no client waits without end: it fails with what it saw instead.
//!
//! A part runs by default. The environment asks for more:
//!
//! ```text
//! FAULTS_SEED=123 cargo test -p day04 --test faults fuzz    plays plan 123 again, and no other
//! FAULTS_SEED=1000 FAULTS_PLANS=500 cargo test …            plans 1000 to 1499
//! FAULTS_LONG=1 cargo test -p day04 --test faults soak -- --nocapture
//!                                                           200,000 connections in a row
//! ```

mod fuzz;
mod replies;

use std::process::Command;

use common::drive::{Server, start_or_skip};

/// The rings that everything is tried on: day 04's own, without multishot receives, with a
/// thread that polls, and with queues of one entry.
const RINGS: [&[&str]; 4] = [
    &[],
    &["--single-recv"],
    &["--sqpoll", "--sq-idle", "5"],
    &["--entries", "1", "--cq-entries", "1"],
];

/// Day 04 with these arguments, for clients that are programs.
fn day04(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day04"));
    command.args(["--listen", "127.0.0.1:0", "--json", "--quiet"]).args(arguments);
    command
}

/// A running server; `None` if it cannot run here, which was said aloud.
fn serve(arguments: &[&str]) -> Option<Server> {
    let thread = std::thread::current();
    // The test harness names its threads after the tests.
    start_or_skip(thread.name().unwrap_or("a test"), day04(arguments))
}

/// A number from the environment.
fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}
