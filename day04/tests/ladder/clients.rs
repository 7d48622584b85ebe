//! What the clients of each rung see.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::thread;
use std::time::Duration;

use common::drive::{end_of_file, holds_within, reset};

use super::*;

/// Bytes that show when some are lost, doubled or in another order.
fn bytes(seed: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 + at / 251 * 7 + seed * 13) as u8).collect()
}

#[test]
fn every_byte_comes_back_in_order_to_every_client() {
    const SIZES: [usize; 5] = [1, 64, 4096, 4097, 300_000];
    for rung in ECHO {
        let Some(server) = serve(rung, &["--reply", "echo"]) else { return };
        thread::scope(|scope| {
            for seed in 0..8 {
                let client = connect(&server);
                scope.spawn(move || SIZES.map(|len| echo(&client, &bytes(seed + len, len))));
            }
        });
        server.wait_until_empty();
        let stopped = stop(server);
        let total = 8 * SIZES.iter().sum::<usize>() as u64;
        assert_eq!(stopped.count("connections"), 8, "{rung}");
        assert_eq!(stopped.count("bytes_in"), total, "{rung}");
        assert_eq!(stopped.count("bytes_out"), total, "{rung}");
        assert_eq!(stopped.count("resets"), 0, "{rung}");
    }
}

#[test]
fn a_client_that_reads_late_gets_everything() {
    for rung in ECHO {
        let Some(server) = serve(rung, &["--reply", "echo"]) else { return };
        let client = connect(&server);
        let message = bytes(7, 8 << 20);
        thread::scope(|scope| {
            let writer = scope.spawn(|| (&client).write_all(&message));
            // Until the answers fill every buffer between us, or nearly.
            holds_within(Duration::from_millis(200), || writer.is_finished());
            let mut answer = vec![0; message.len()];
            (&client).read_exact(&mut answer).expect("every byte back");
            assert!(answer == message, "{rung}: bytes came back changed");
        });
        client.shutdown(Shutdown::Write).expect("half-close");
        end_of_file(&client);
        stop(server);
    }
}

#[test]
fn every_client_is_acked_and_no_slot_is_lost() {
    for rung in all() {
        // More clients than slots, one after the other.
        let Some(server) = serve(rung, &["--slots", "8"]) else { return };
        for number in 0..40 {
            assert_eq!(ask(&server, &bytes(number, 3000)), b"ack\0", "{rung}");
        }
        server.wait_until_empty();
        let stopped = stop(server);
        assert_eq!(stopped.count("connections"), 40, "{rung}");
        assert_eq!(stopped.count("requests"), 40, "{rung}");
        assert_eq!(stopped.count("bytes_out"), 160, "{rung}");
    }
}

#[test]
fn many_clients_at_a_time_are_acked() {
    for rung in all() {
        let Some(server) = serve(rung, &[]) else { return };
        thread::scope(|scope| {
            for _ in 0..32 {
                scope.spawn(|| {
                    (0..10).for_each(|_| assert_eq!(ask(&server, b"hello"), b"ack\0", "{rung}"));
                });
            }
        });
        assert_eq!(stop(server).count("connections"), 320, "{rung}");
    }
}

#[test]
fn a_reset_ends_one_connection_and_not_the_server() {
    for rung in all() {
        let echoes = rung != CHAIN;
        let arguments: &[&str] = if echoes { &["--reply", "echo"] } else { &[] };
        let Some(server) = serve(rung, arguments) else { return };
        for request in [0, 10, 100_000].repeat(5) {
            let mut client = connect(&server);
            // It fails where the server is done with us already: the chain receives once.
            let _ = client.write_all(&bytes(1, request));
            reset(client);
        }
        if echoes {
            echo(&connect(&server), b"still there?");
        } else {
            assert_eq!(ask(&server, b"still there?"), b"ack\0");
        }
        server.wait_until_empty();
        let stopped = stop(server);
        assert_eq!(stopped.count("connections"), 16, "{rung}");
        assert!(stopped.count("resets") >= 1, "{rung}: {}", stopped.summary);
    }
}

#[test]
fn end_of_file_is_no_request_except_to_the_chain() {
    for rung in all() {
        let Some(server) = serve(rung, &[]) else { return };
        for (request, expected) in [(&b""[..], &b""[..]), (b"bye", b"ack\0")] {
            let mut client = connect(&server);
            client.write_all(request).expect("it reads");
            client.shutdown(Shutdown::Write).expect("half-close");
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).expect("the end");
            let expected = if rung == CHAIN { b"ack\0" } else { expected };
            assert_eq!(answer, expected, "{rung}");
        }
        stop(server);
    }
}

#[test]
fn out_of_buffers_clients_wait_and_none_is_lost() {
    // Rung 3 has 256 buffers; more clients than that send while the server sleeps.
    let Some(server) = serve("rung3_multishot", &["--reply", "echo"]) else { return };
    let clients: Vec<_> = (0..400).map(|_| connect(&server)).collect();
    clients.iter().for_each(|client| echo(client, b"in"));
    server.pause();
    clients.iter().for_each(|mut client| client.write_all(b"all at once").expect("room"));
    server.resume();
    for mut client in &clients {
        let mut answer = [0; 11];
        client.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"all at once");
    }
    assert_eq!(stop(server).count("connections"), 400);
}
