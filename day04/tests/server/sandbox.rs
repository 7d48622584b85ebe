//! `--sandbox`: each operation of the server, in each of its modes, is one that it allows itself.

use std::io::Write;

use nix::sys::signal::Signal;
use testkit::{Server, end_of_file, limit_descriptors, start_or_skip};

use super::*;

fn sandboxed(arguments: &[&str]) -> Option<Server> {
    serve(&[&["--sandbox"], arguments].concat())
}

/// No operation was refused: that would be an event.
fn end(server: Server) {
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGTERM).unwrap().well();
    assert!(stopped.events.iter().all(|event| event["event"] != "failed"), "{:?}", stopped.events);
}

/// Each kind of ring, each conversation, each kind of close.
#[test]
fn every_kind_of_ring_serves_in_a_sandbox() {
    for ring in [&[][..], &["--sqpoll"], &["--entries", "1"], &["--buffers", "1"]] {
        for close in [&[][..], &["--shutdown-first"]] {
            for reply in ["ack", "echo"] {
                let arguments = [&["--reply", reply], ring, close].concat();
                let Some(server) = sandboxed(&arguments) else { return };
                assert_eq!(server.listening()["sandbox"]["ring"], true);
                let client = server.connect().unwrap();
                let back = echo_all(&client, b"hello");
                assert_eq!(back, if reply == "ack" { &b"ack\0"[..] } else { b"hello" });
                end(server);
            }
        }
    }
}

/// A client that sends no end gets the shutdown and the discarding receive.
#[test]
fn a_client_that_stays_is_served_in_a_sandbox() {
    let Some(server) = sandboxed(&[]) else { return };
    let mut client = server.connect().unwrap();
    client.write_all(b"hello").unwrap();
    assert_eq!(to_the_end(&client), b"ack\0");
    client.write_all(b"and more").unwrap();
    drop(client);
    end(server);
}

/// Accepts are cancelled when the slots are full; without spare slots they come one by one.
#[test]
fn a_full_server_lets_all_clients_in_in_a_sandbox() {
    for descriptors in [1024, 16] {
        let mut command = with_json(day04(&["--sandbox", "--quiet", "--slots", "4"]));
        limit_descriptors(&mut command, descriptors, descriptors);
        let Some(server) = start_or_skip(&test_name(), command) else { return };
        let clients: Vec<_> = (0..40).map(|_| server.connect().unwrap()).collect();
        for mut client in &clients {
            client.write_all(b"hello").unwrap();
        }
        // Each leaves with its answer.
        clients.into_iter().for_each(|client| assert_eq!(to_the_end(&client), b"ack\0"));
        end(server);
    }
}

/// Receives are cancelled: that of a silent client, and all of them at the end.
#[test]
fn silent_clients_see_their_end_in_a_sandbox() {
    let Some(server) = sandboxed(&["--reply", "echo", "--idle-timeout", "0.2"]) else { return };
    end_of_file(&server.connect().unwrap());
    end(server);
    let Some(server) = sandboxed(&["--reply", "echo"]) else { return };
    let client = server.connect().unwrap();
    for _ in 0..3 {
        echo(&client, b"then it gets a multishot");
    }
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!(stopped.count("connections"), 1);
    end_of_file(&client);
}
