//! The server as its clients and its user see it: the program itself, on loopback.
//!
//! A test is named after what it provokes: a defect of the journal (`journal_02_…`, numbered as in
//! `book/src/journal-corrected.md`) or a pitfall (`pitfall_04_…`, as in
//! `book/src/when-it-goes-wrong.md`).

mod journal;
mod output;
mod pitfalls;
mod stop;

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::Command;

use testkit::{Server, start_or_skip};

/// Day 03 with these arguments.
fn day03(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day03"));
    // A user must see no backtrace.
    command.args(["--listen", "127.0.0.1:0"]).args(arguments).env("RUST_BACKTRACE", "1");
    command
}

/// A running server; `None`, with a message, if it cannot run here.
fn serve(arguments: &[&str]) -> Option<Server> {
    start_or_skip(&test_name(), with_json(day03(arguments)))
}

fn with_json(mut command: Command) -> Command {
    command.arg("--json");
    command
}

/// The test harness names its threads after the tests.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("a test").to_string()
}

/// Reads the greeting: the slot, and the client's number.
fn greeting(client: &TcpStream) -> (u32, u64) {
    let mut line = String::new();
    BufReader::with_capacity(1, client).read_line(&mut line).expect("a greeting");
    let numbers = line.strip_prefix("hello from slot ").and_then(|line| {
        let (slot, number) = line.trim_end().split_once(", you are client ")?;
        Some((slot.parse().ok()?, number.parse().ok()?))
    });
    numbers.unwrap_or_else(|| panic!("a greeting, not {line:?}"))
}
