//! The defects of the journal's code, each provoked.
//!
//! Not here: 1 is day 01's, and 16 is a unit test of `common::token`. Number 8, variables that are
//! used before they are set, exists only in C: the Rust compiler refuses it. Number 11, the null
//! entry, cannot be dereferenced in Rust: a full queue is an `Err` there, and the test shows how
//! the server handles it.

use common::listener;
use nix::sys::signal::Signal;
use testkit::{descriptors, end_of_file, open_fds, refused, reset, ring_slots};

use super::hog::Hog;
use super::*;

#[test]
fn journal_02_closing_a_slot_touches_no_descriptor() {
    let Some(server) = serve(&[]) else { return };
    let before = descriptors(server.pid()).unwrap();
    assert!(before.len() > 5, "stdin to stderr, the signals, the listener, the ring: {before:?}");
    for _ in 0..300 {
        assert_eq!(ask(&server, b"hello"), b"ack\0");
    }
    server.wait_until_empty();
    assert_eq!(descriptors(server.pid()).unwrap(), before);
    server.stop(Signal::SIGINT).unwrap().well();
}

/// A client that stays takes no descriptor either.
#[test]
fn a_client_is_a_slot_and_no_descriptor() {
    let Some(server) = serve_echo(&[]) else { return };
    let before = open_fds(server.pid()).unwrap();
    let clients: Vec<_> = (0..50).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|client| echo(client, b"hello"));
    assert_eq!(ring_slots(server.pid()).unwrap().len(), 50);
    assert_eq!(open_fds(server.pid()).unwrap(), before);
    drop(clients);
    server.wait_until_empty();
}

#[test]
fn journal_03_slots_come_free_and_every_client_sees_its_end() {
    let Some(server) = serve(&["--slots", "4"]) else { return };
    for _ in 0..200 {
        assert_eq!(ask(&server, b"hello"), b"ack\0");
    }
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("connections"), stopped.count("requests")), (200, 200));
}

/// Also pitfall 14.
#[test]
fn journal_04_a_reset_at_any_stage_ends_that_client_alone() {
    for reply in ["ack", "echo"] {
        let Some(server) = serve(&["--reply", reply, "--slots", "3"]) else { return };
        let (steady, other) = (server.connect().unwrap(), server.connect().unwrap());
        // Before it is accepted, with and without a request.
        server.pause();
        reset(server.connect().unwrap());
        let mut client = server.connect().unwrap();
        client.write_all(b"hello").unwrap();
        reset(client);
        server.resume();
        // Silent; with an unread request, or with a part of one.
        reset(server.connect().unwrap());
        for length in [1, 5000, 300_000] {
            let mut client = server.connect().unwrap();
            client.write_all(&vec![b'x'; length]).unwrap();
            reset(client);
        }
        // Answered, and with the answer half read.
        let mut client = server.connect().unwrap();
        client.write_all(b"hello").unwrap();
        client.read_exact(&mut [0; 2]).unwrap();
        reset(client);
        // Waiting for a slot, in the backlog or in a spare one.
        let third = server.connect().unwrap();
        let waiting: Vec<_> = (0..5).map(|_| server.connect().unwrap()).collect();
        waiting.into_iter().for_each(reset);
        drop((other, third));

        let answer = if reply == "ack" { &b"ack\0"[..] } else { b"still here" };
        for client in [steady, server.connect().unwrap()] {
            assert_eq!(echo_all(&client, b"still here"), answer);
        }
        server.wait_until_empty();
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

/// A reset with replies still queued: their buffers are there for the next client.
#[test]
fn journal_04_a_reset_gives_the_buffers_back() {
    let Some(server) = serve_echo(&["--buffers", "4"]) else { return };
    for _ in 0..3 {
        let greedy = Hog::feed(&server);
        reset(greedy.stop());
        let client = server.connect().unwrap();
        assert!(echo_all(&client, &noise(100_000)) == noise(100_000));
    }
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!(stopped.count("resets"), 3);
}

/// Also pitfall 23: stop and continue interrupt the wait with EINTR.
#[test]
fn journal_05_stop_and_continue_do_not_end_it() {
    let Some(server) = serve_echo(&[]) else { return };
    let steady = server.connect().unwrap();
    for _ in 0..3 {
        // A wait that has submitted entries returns their number. Only the next wait returns EINTR.
        for _ in 0..5 {
            server.pause();
            server.resume();
        }
        echo(&steady, b"hello");
    }
    assert_eq!(echo_all(&steady, b"bye"), b"bye");
    server.stop(Signal::SIGINT).unwrap().well();
}

/// Around the journal's 1,024 bytes and around the size of a buffer: nothing is written past
/// a message, and nothing of it is lost.
#[test]
fn journal_06_a_request_may_fill_its_buffer_exactly() {
    for size in ["1024", "4096"] {
        let arguments = ["--buffer-size", size];
        let (Some(acks), Some(echoes)) = (serve(&arguments), serve_echo(&arguments)) else {
            return;
        };
        let size: usize = size.parse().unwrap();
        let lengths = [1, 1023, 1024, 1025, size - 1, size, size + 1, 2 * size];
        for length in lengths {
            let request = noise(length);
            assert_eq!(ask(&acks, &request), b"ack\0", "{length} bytes");
            assert!(echo_all(&echoes.connect().unwrap(), &request) == request, "{length} bytes");
        }
        let stopped = acks.stop(Signal::SIGINT).unwrap().well();
        assert_eq!(stopped.count("bytes_in"), lengths.iter().sum::<usize>() as u64);
        assert_eq!(stopped.count("requests"), lengths.len() as u64);
        echoes.stop(Signal::SIGINT).unwrap().well();
    }
}

/// The answer goes to a socket that is reset already. A write would raise SIGPIPE, if Rust's
/// runtime did not ignore it; a send with MSG_NOSIGNAL never does.
#[test]
fn journal_07_answering_a_client_that_is_gone_raises_no_signal() {
    for reply in ["ack", "echo"] {
        let Some(server) = serve(&["--reply", reply]) else { return };
        for _ in 0..20 {
            let mut client = server.connect().unwrap();
            client.write_all(b"hello").unwrap();
            reset(client);
        }
        server.pause();
        for _ in 0..20 {
            let mut client = server.connect().unwrap();
            client.write_all(b"hello").unwrap();
            // Both ends, so that the request is there and the answer has no reader.
            drop(client);
        }
        server.resume();
        assert!(!echo_all(&server.connect().unwrap(), b"hello").is_empty());
        server.wait_until_empty();
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

/// The journal answers an end-of-file as if it were a message.
#[test]
fn journal_09_an_end_without_a_request_gets_no_ack() {
    let Some(server) = serve(&[]) else { return };
    for _ in 0..10 {
        let client = server.connect().unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        end_of_file(&client);
    }
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("connections"), stopped.count("requests")), (10, 0));
    assert_eq!(stopped.count("bytes_out"), 0);
}

/// Also pitfalls 6 and 7: a completion queue of one entry overflows at once, which
/// ends a multishot on a completion that is a success, and leaves others in the kernel until
/// an enter asks for them.
#[test]
fn journal_10_a_multishot_that_ended_on_a_success_is_armed_again() {
    for reply in ["ack", "echo"] {
        for [entries, cq_entries] in [["1", "1"], ["2", "2"], ["4", "8"]] {
            let ring = ["--entries", entries, "--cq-entries", cq_entries, "--slots", "200"];
            let arguments = [&["--reply", reply], &ring[..]].concat();
            let Some(server) = serve(&arguments) else { return };
            for _ in 0..2 {
                server.pause();
                let clients: Vec<_> = (0..60).map(|_| server.connect().unwrap()).collect();
                clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
                server.resume();
                for client in clients {
                    client.shutdown(Shutdown::Write).unwrap();
                    assert_eq!(to_the_end(&client), answer_to(reply, b"hello"));
                }
                // Later ones too.
                let client = server.connect().unwrap();
                assert_eq!(echo_all(&client, b"later"), answer_to(reply, b"later"));
            }
            server.wait_until_empty();
            let stopped = server.stop(Signal::SIGINT).unwrap().well();
            assert_eq!(stopped.count("connections"), 122);
        }
    }
}

fn answer_to<'a>(reply: &str, request: &'a [u8]) -> &'a [u8] {
    if reply == "ack" { b"ack\0" } else { request }
}

/// Also pitfall 17: a full queue refuses the push, and nothing is queued. A chain
/// never fits a queue of one entry; the completion of its first half starts the second.
#[test]
fn journal_11_a_full_submission_queue_loses_nothing() {
    for entries in ["1", "2"] {
        let Some(server) = serve(&["--entries", entries]) else { return };
        assert_eq!(server.listening()["sq_entries"].to_string(), entries);
        server.pause();
        let clients: Vec<_> = (0..60).map(|_| server.connect().unwrap()).collect();
        clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
        server.resume();
        for client in &clients {
            assert_eq!(to_the_end(client), b"ack\0");
        }
        drop(clients);
        server.wait_until_empty();
        let stopped = server.stop(Signal::SIGTERM).unwrap().well();
        assert_eq!((stopped.count("connections"), stopped.count("requests")), (60, 60));
    }
}

/// The journal reads the first 1,024 bytes, and what is left is lost.
#[test]
fn journal_13_a_request_of_any_length_gets_one_ack() {
    for arguments in [
        &[][..],
        &["--buffer-size", "16"],
        &["--buffer-size", "16", "--buffers", "2", "--entries", "1"],
        &["--buffer-size", "1024"],
    ] {
        let Some(server) = serve(arguments) else { return };
        server.pause();
        // All of it has arrived before the first byte is read.
        let mut client = server.connect().unwrap();
        client.write_all(&noise(5000)).unwrap();
        server.resume();
        assert_eq!(to_the_end(&client), b"ack\0");
        drop(client);
        server.wait_until_empty();
        let stopped = server.stop(Signal::SIGINT).unwrap().well();
        assert_eq!((stopped.count("bytes_in"), stopped.count("requests")), (5000, 1));
        assert_eq!(stopped.count("bytes_out"), 4);
    }
}

#[test]
fn journal_14_it_listens_on_loopback_unless_told_otherwise() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day04"));
    let help = command.arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains(&format!("[default: {}]", listener::DEFAULT_ADDRESS)), "{help}");
    assert!(listener::parse_address(listener::DEFAULT_ADDRESS).unwrap().ip().is_loopback());
}

#[test]
fn journal_15_a_taken_port_is_named_and_the_remedy_with_it() {
    refused::a_port(Command::new(env!("CARGO_BIN_EXE_day04")));
}

/// Every ring that can be asked for serves both conversations.
#[test]
fn every_kind_of_ring_serves() {
    for ring in [
        &["--sqpoll"][..],
        &["--sqpoll", "--sq-idle", "1", "--entries", "1"],
        &["--buffers", "1", "--entries", "1", "--cq-entries", "1"],
        &["--entries", "1024", "--cq-entries", "65536", "--slots", "1"],
    ] {
        for reply in ["ack", "echo"] {
            let Some(server) = serve(&[&["--reply", reply], ring].concat()) else { return };
            for _ in 0..20 {
                let client = server.connect().unwrap();
                assert_eq!(echo_all(&client, b"hello"), answer_to(reply, b"hello"), "{ring:?}");
            }
            server.wait_until_empty();
            let stopped = server.stop(Signal::SIGINT).unwrap().well();
            assert_eq!(stopped.count("connections"), 20, "{ring:?}");
        }
    }
}
