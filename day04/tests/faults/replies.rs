//! Replies that might be delayed.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::Server;

use super::*;

const ROUNDS: u32 = 30;

/// The shortest of many rounds.
fn shortest(round: impl FnMut() -> Duration) -> Duration {
    std::iter::repeat_with(round).take(ROUNDS as usize).min().expect("rounds")
}

fn echo(mut client: &TcpStream, message: &[u8]) -> Duration {
    let start = Instant::now();
    client.write_all(message).expect("the server reads");
    let mut back = vec![0; message.len()];
    client.read_exact(&mut back).expect("the message back");
    assert!(back == message, "other bytes came back");
    start.elapsed()
}

/// A message and the client's end at once.
fn echo_to_the_end(server: &Server) -> Duration {
    let mut client = server.connect().unwrap();
    server.pause();
    client.write_all(b"hello").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    server.resume();
    let start = Instant::now();
    let mut back = Vec::new();
    client.read_to_end(&mut back).expect("an end-of-file, no reset");
    assert_eq!(back, b"hello");
    start.elapsed()
}

/// If nothing waits for the end of a send, the server looks for it late. Here something waits: the
/// next part of the same reply, the client's end, or a receive that found no buffer. If the server
/// were late here, these would take hundreds of times as long.
#[test]
fn what_waits_for_the_end_of_a_send_is_not_held_up() {
    for ring in RINGS {
        for buffers in ["1", "2", "256"] {
            let Some(server) = serve(&[&["--reply", "echo", "--buffers", buffers], ring].concat())
            else {
                return;
            };
            let client = server.connect().unwrap();
            let short = shortest(|| echo(&client, b"hello"));
            let long = shortest(|| echo(&client, &[b'x'; 20_000]));
            let last = shortest(|| echo_to_the_end(&server));
            assert!(long < 200 * short, "{ring:?}, {buffers} buffers: {long:?} against {short:?}");
            assert!(last < 200 * short, "{ring:?}, {buffers} buffers: {last:?} against {short:?}");
            drop(client);
            server.stop(Signal::SIGINT).unwrap().well();
        }
    }
}
