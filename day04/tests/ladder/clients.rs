//! What the clients of each rung see.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt};
use testkit::{end_of_file, holds_within, reset, ring_slots, wait_until};

use super::enters::until_asleep;
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
            // The write may fail: the chain receives once, and then closes.
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
fn nobody_is_answered_before_the_request() {
    for rung in all() {
        let Some(server) = serve(rung, &[]) else { return };
        let mut client = connect(&server);
        let accepted = || ring_slots(server.pid()).is_ok_and(|slots| !slots.is_empty());
        wait_until("the client has a slot", accepted);
        until_asleep(&server);
        client.set_nonblocking(true).expect("a socket can");
        let early = client.read(&mut [0; 4]).expect_err("nothing was asked");
        assert_eq!(early.kind(), ErrorKind::WouldBlock, "{rung}");
        client.set_nonblocking(false).expect("a socket can");
        client.write_all(b"hello").expect("it reads");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer and the end");
        assert_eq!(answer, b"ack\0", "{rung}");
        stop(server);
    }
}

/// Rung 3: a client that does not read holds all the buffers. The others wait, and are served
/// when they come back.
#[test]
fn out_of_buffers_clients_wait_and_none_is_lost() {
    let Some(server) = serve("rung3_multishot", &["--reply", "echo"]) else { return };
    let greedy = connect(&server);
    setsockopt(&greedy, sockopt::RcvBuf, &(256 << 10)).expect("a socket takes SO_RCVBUF");
    let others = [(); 3].map(|()| connect(&server));
    others.iter().for_each(|client| echo(client, b"in"));
    let written = AtomicUsize::new(0);
    let message = bytes(3, 12 << 20); // more than a send queue and the buffers hold
    thread::scope(|scope| {
        scope.spawn(|| {
            for part in message.chunks(1 << 16) {
                (&greedy).write_all(part).expect("it reads, in the end");
                written.fetch_add(part.len(), Ordering::Relaxed);
            }
        });
        let mut before = usize::MAX;
        wait_until("the greedy client is stuck", || {
            thread::sleep(Duration::from_millis(100));
            std::mem::replace(&mut before, written.load(Ordering::Relaxed)) == before
        });
        others.iter().for_each(|mut client| client.write_all(b"and us").expect("room"));
        let mut answer = vec![0; message.len()];
        (&greedy).read_exact(&mut answer).expect("every byte back");
        assert!(answer == message, "bytes came back changed");
        for mut client in &others {
            let mut answer = [0; 6];
            client.read_exact(&mut answer).expect("an answer, late");
            assert_eq!(&answer, b"and us");
        }
    });
    assert_eq!(stop(server).count("connections"), 4);
}
