//! Clients at their worst, against the program itself: resets, floods, clients that never
//! read, tiny rings, signals, and conversations made up at random.
//!
//! What `tests/server` provokes on one ring is provoked here at every stage and on each
//! ring of [`RINGS`]. Every byte that comes back is compared with the one that was sent, and
//! no client waits for ever: it fails, and reports what it saw.
//!
//! A part runs by default. The environment asks for more:
//!
//! ```text
//! FAULTS_SEED=123 cargo test -p day04 --test faults fuzz    plays plan 123 again, and no other
//! FAULTS_SEED=1000 FAULTS_PLANS=500 cargo test …            plans 1000 to 1499
//! FAULTS_LONG=1 cargo test -p day04 --test faults soak -- --nocapture
//!                                                           200,000 connections in a row
//! ```

mod crowds;
mod dice;
mod fuzz;
#[path = "../server/hog.rs"]
mod hog;
mod pieces;
mod replies;
mod resets;
mod signals;
mod soak;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;

use nix::sys::signal::Signal;
use testkit::{Server, Stopped, start_or_skip};

use self::dice::content;

/// The rings that everything is tried on: day 04's own, with a shutdown before each close as on
/// older kernels, with a thread that polls, and with queues of one entry.
const RINGS: [&[&str]; 4] = [
    &[],
    &["--shutdown-first"],
    &["--sqpoll", "--sq-idle", "5"],
    &["--entries", "1", "--cq-entries", "1"],
];

/// Day 04 with these arguments, for clients that are programs.
fn day04(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day04"));
    command.args(["--listen", "127.0.0.1:0", "--json", "--quiet"]).args(arguments);
    command
}

/// A running server; `None`, with a message, if it cannot run here.
fn serve(arguments: &[&str]) -> Option<Server> {
    start(day04(arguments))
}

fn start(command: Command) -> Option<Server> {
    let thread = std::thread::current();
    // The test harness names its threads after the tests.
    start_or_skip(thread.name().unwrap_or("a test"), command)
}

/// The replies that a test is run with.
const BOTH: &[&str] = &["ack", "echo"];
const ECHO: &[&str] = &["echo"];

/// Runs `test` against a server of every kind, with the reply that this one gives. Afterwards each
/// server must be idle, and end at a stop signal as it should.
fn on_each_ring(replies: &[&str], arguments: &[&str], test: impl Fn(&Server, &str)) {
    for ring in RINGS {
        for reply in replies {
            let Some(server) = serve(&[&["--reply", reply], ring, arguments].concat()) else {
                return;
            };
            test(&server, reply);
            at_rest(server);
        }
    }
}

/// No slot has a client, and the server ends as it should.
fn at_rest(server: Server) -> Stopped {
    server.wait_until_empty();
    server.stop(Signal::SIGINT).unwrap().well()
}

/// This many bytes, another sequence for each key.
fn bytes(key: u64, length: usize) -> Vec<u8> {
    let mut bytes = vec![0; length];
    content(key, 0, &mut bytes);
    bytes
}

/// Sends everything from a separate thread, ends its side, and asserts the right answer, an
/// end-of-file and no reset.
fn converse(client: &TcpStream, reply: &str, message: &[u8]) {
    let answer = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = client;
            writer.write_all(message).expect("the server reads");
            client.shutdown(Shutdown::Write).expect("a half-close");
        });
        to_the_end(client)
    });
    assert!(answer == due(reply, message), "{reply}: {} bytes in answer", answer.len());
}

/// The right answer to a message.
fn due<'a>(reply: &str, message: &'a [u8]) -> &'a [u8] {
    match reply {
        "echo" => message,
        _ if message.is_empty() => b"",
        _ => b"ack\0",
    }
}

/// Reads to the end, which must not be a reset.
fn to_the_end(mut client: &TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an end-of-file, no reset");
    answer
}

/// A number from the environment.
fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}
