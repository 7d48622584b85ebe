//! The server as its clients and its user meet it: the program itself, on loopback.
//!
//! A test is named after what it provokes: a defect of the journal (`journal_02_…`, numbered as in
//! `book/src/journal-corrected.md`) or a pitfall (`pitfall_04_…`, as in
//! `book/src/when-it-goes-wrong.md`).

mod buffers;
mod counts;
mod hog;
mod idle;
mod journal;
mod memory;
mod output;
mod pitfalls;
mod requests;
mod sandbox;
mod stop;
mod workers;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};
use testkit::{Server, start_or_skip};

/// Day 04 with these arguments and no others.
fn day04(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day04"));
    // A backtrace has no place in what a user reads.
    command.args(["--listen", "127.0.0.1:0"]).args(arguments).env("RUST_BACKTRACE", "1");
    command
}

/// A running server that prints little; `None`, with a message, if it cannot run here.
fn serve(arguments: &[&str]) -> Option<Server> {
    serve_aloud(&[&["--quiet"], arguments].concat())
}

/// One that echoes.
fn serve_echo(arguments: &[&str]) -> Option<Server> {
    serve(&[&["--reply", "echo"], arguments].concat())
}

/// One that prints every request.
fn serve_aloud(arguments: &[&str]) -> Option<Server> {
    start_or_skip(&test_name(), with_json(day04(arguments)))
}

fn with_json(mut command: Command) -> Command {
    command.arg("--json");
    command
}

/// The test harness names its threads after the tests.
fn test_name() -> String {
    std::thread::current().name().unwrap_or("a test").to_string()
}

/// A client whose socket holds little of what it does not read.
fn connect_with_small_buffer(server: &Server) -> TcpStream {
    let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    setsockopt(&socket, sockopt::RcvBuf, &4096).unwrap();
    connect(socket.as_raw_fd(), &SockaddrStorage::from(server.address())).unwrap();
    TcpStream::from(socket)
}

/// Sends a request and reads to the end: the answer, and no reset.
fn ask(server: &Server, request: &[u8]) -> Vec<u8> {
    let mut client = server.connect().unwrap();
    client.write_all(request).unwrap();
    to_the_end(&client)
}

/// Reads to the end, which is no reset.
fn to_the_end(mut client: &TcpStream) -> Vec<u8> {
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).expect("an end-of-file, no reset");
    answer
}

/// Sends a message and reads it back.
fn echo(mut client: &TcpStream, message: &[u8]) {
    client.write_all(message).unwrap();
    let mut back = vec![0; message.len()];
    client.read_exact(&mut back).expect("the message back");
    assert!(back == message, "other bytes came back");
}

/// Sends all of it from a thread of its own, ends its side, and reads what comes back.
fn echo_all(client: &TcpStream, bytes: &[u8]) -> Vec<u8> {
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut writer = client;
            writer.write_all(bytes).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        to_the_end(client)
    })
}

/// Bytes without a pattern that a mistake could keep (a linear congruential generator).
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}
