//! `examples/echo.rs`, the whole server in one file: what it does, and that it stays readable.

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use testkit::{Strace, Talking, die_with_parent, example, io_uring_or_skip, skipped};

/// A running echo server; `None`, with a message, if it cannot run here.
fn start(test: &str, mut command: Command) -> Option<Talking> {
    if !io_uring_or_skip(test) {
        return None;
    }
    die_with_parent(command.arg("0"));
    let error = match Talking::start(command) {
        Ok(echo) => return Some(echo),
        Err(error) => format!("{error:#}"),
    };
    // What a kernel before 5.19 lacks is refused with EINVAL.
    assert!(error.contains("InvalidInput"), "{error}");
    skipped(test, error);
    None
}

fn exchange(mut client: &TcpStream, message: &[u8]) {
    client.write_all(message).unwrap();
    let mut answer = vec![0; message.len()];
    client.read_exact(&mut answer).unwrap();
    assert!(answer == message, "{} bytes came back changed", message.len());
}

#[test]
fn every_client_gets_its_bytes_back_and_then_its_end() {
    let name = "every_client_gets_its_bytes_back_and_then_its_end";
    let Some(echo) = start(name, example("echo")) else { return };
    // More clients, one after the other, than there are slots and buffers.
    for round in 0..40u8 {
        thread::scope(|scope| {
            for client in 0..50u8 {
                let echo = &echo;
                scope.spawn(move || {
                    let mut stream = echo.connect().unwrap();
                    for size in [1, 64, 4096, 10_000] {
                        exchange(&stream, &vec![round ^ client; size]);
                    }
                    stream.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
                });
            }
        });
    }
}

/// The promise of its first lines: one system call a turn, for all clients together.
#[test]
fn a_message_takes_two_enters_at_most() {
    const MESSAGES: usize = 200;
    let name = "a_message_takes_two_enters_at_most";
    if !Strace::works() {
        return skipped(name, "strace is not installed, or may not trace here");
    }
    let (command, strace) = Strace::wrap(example("echo").get_program(), &[]);
    let Some(echo) = start(name, command) else { return };
    let client = echo.connect().unwrap();
    (0..MESSAGES).for_each(|_| exchange(&client, b"hello"));
    drop(echo);
    let calls = strace.calls().unwrap().len();
    assert!(calls <= 2 * MESSAGES + 10, "{calls} enters for {MESSAGES} messages");
}

#[test]
fn it_is_one_file_that_a_reader_sees_whole() {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/echo.rs");
    let text = fs::read_to_string(source).unwrap();
    assert!(!text.contains("common::"), "it stands alone");
    let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.filter(|line| !line.trim().is_empty()).count();
    assert!(code <= 200, "{code} lines of code");
}
