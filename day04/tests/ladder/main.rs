//! The rungs of the ladder as their clients meet them, and what each costs in system calls.

mod clients;
mod endings;
mod enters;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::thread;

use nix::sys::signal::Signal;
use testkit::{Server, Stopped, example, start_or_skip};

/// The rungs that echo: all but the fifth.
const ECHO: [&str; 8] = [
    "rung1_journal",
    "rung2_one_submit",
    "rung3_multishot",
    "rung4_linked",
    "rung6_min_wait",
    "rung7_spin",
    "rung8_sqpoll",
    "rung9_threads",
];
const CHAIN: &str = "rung5_chain";

fn all() -> impl Iterator<Item = &'static str> {
    ECHO.into_iter().chain([CHAIN])
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("ladder")
}

const FIXED: [&str; 4] = ["--listen", "127.0.0.1:0", "--json", "--quiet"];

/// A running rung; `None`, with a message, if it cannot run here.
fn serve(rung: &str, arguments: &[&str]) -> Option<Server> {
    let mut command = example(rung);
    command.args(FIXED).args(arguments);
    start_or_skip(rung, command)
}

fn connect(server: &Server) -> TcpStream {
    server.connect().expect("it listens")
}

fn stop(server: Server) -> Stopped {
    server.stop(Signal::SIGTERM).expect("it stops").well()
}

/// Sends a request and reads the answer to its end.
fn ask(server: &Server, request: &[u8]) -> Vec<u8> {
    let mut client = connect(server);
    client.write_all(request).expect("it reads");
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an answer and the end");
    answer
}

/// Sends `message` and reads as much back, at the same time: no buffer between us holds it.
fn echo(client: &TcpStream, message: &[u8]) {
    let (mut reader, mut writer) = (client, client);
    let mut answer = vec![0; message.len()];
    thread::scope(|scope| {
        scope.spawn(move || writer.write_all(message).expect("it reads"));
        reader.read_exact(&mut answer).expect("every byte back");
    });
    assert!(answer == message, "{} bytes came back changed", message.len());
}

/// A rung is small, names its idea first, and marks what it does differently.
#[test]
fn every_rung_is_small_and_marks_its_idea() {
    for rung in all() {
        let text = fs::read_to_string(sources().join(rung).with_extension("rs")).expect("a source");
        let number = &rung["rung".len()..][..1];
        assert!(text.starts_with(&format!("//! Rung {number}: ")), "{rung}");
        assert!(text.contains(&format!("/ RUNG {number}: ")), "{rung}");
        assert!(text.lines().count() < 220, "{rung}: {} lines", text.lines().count());
    }
}

/// The numbers in `book/src/ladder.md`.
#[test]
fn the_scaffold_is_as_short_as_the_book_says() {
    for (file, most) in
        [("scaffold.rs", 130), ("scaffold/server.rs", 290), ("scaffold/words.rs", 100)]
    {
        let text = fs::read_to_string(sources().join(file)).expect("a source");
        assert!(text.lines().count() <= most, "{file}: {} lines", text.lines().count());
    }
}
