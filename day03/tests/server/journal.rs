//! The defects of the journal's code, each provoked.
//!
//! Not here: 1 is day 01's, 6 and 13 are about what is *read* (day 04), and 16 is a unit test of
//! `common::token`. Number 8, variables that are used before they are set, exists only in C: the
//! Rust compiler refuses it. Number 11, the null entry, cannot be dereferenced in Rust: a full
//! queue is an `Err` there, and the test shows how the server handles it.

use std::io::Write;
use std::net::Shutdown;

use common::listener;
use nix::sys::signal::Signal;
use testkit::{Strace, descriptors, end_of_file, open_fds, refused, reset, ring_slots, skipped};

use super::*;

#[test]
fn journal_02_closing_a_slot_touches_no_descriptor() {
    let Some(server) = serve(&[]) else { return };
    let before = descriptors(server.pid()).unwrap();
    assert!(before.len() > 5, "stdin to stderr, the signals, the listener, the ring: {before:?}");
    for number in 1..=300 {
        let client = server.connect().unwrap();
        assert_eq!(greeting(&client).1, number);
    }
    server.wait_until_empty();
    assert_eq!(descriptors(server.pid()).unwrap(), before);
    server.stop(Signal::SIGINT).unwrap().well();
}

// ANCHOR: no_descriptor
/// A client that stays takes no descriptor either.
#[test]
fn a_client_is_a_slot_and_no_descriptor() {
    let Some(server) = serve(&[]) else { return };
    let before = open_fds(server.pid()).unwrap();
    let clients: Vec<_> = (0..50).map(|_| server.connect().unwrap()).collect();
    let mut slots: Vec<_> = clients.iter().map(|client| greeting(client).0).collect();
    slots.sort_unstable();
    assert_eq!(ring_slots(server.pid()).unwrap(), slots);
    assert_eq!(open_fds(server.pid()).unwrap(), before);
    drop(clients);
    server.wait_until_empty();
}
// ANCHOR_END: no_descriptor

#[test]
fn journal_03_slots_come_free_and_every_client_sees_its_end() {
    let Some(server) = serve(&["--slots", "4"]) else { return };
    for _ in 0..200 {
        let client = server.connect().unwrap();
        greeting(&client);
        client.shutdown(Shutdown::Write).unwrap();
        end_of_file(&client);
    }
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("clients"), stopped.count("closed")), (200, 200));
}

/// Also pitfall 14.
#[test]
fn journal_04_a_reset_at_any_stage_ends_that_client_alone() {
    let Some(server) = serve(&["--slots", "2"]) else { return };
    let steady = server.connect().unwrap();
    greeting(&steady);

    // Before it is accepted.
    server.pause();
    reset(server.connect().unwrap());
    server.resume();
    // Greeted or not yet.
    reset(server.connect().unwrap());
    // Greeted, and talking.
    let mut client = server.connect().unwrap();
    greeting(&client);
    client.write_all(&[b'x'; 5000]).unwrap();
    reset(client);
    // Waiting for a slot, in the backlog or in a spare one.
    let second = server.connect().unwrap();
    greeting(&second);
    reset(server.connect().unwrap());
    drop(second);

    let last = server.connect().unwrap();
    greeting(&last);
    (&steady).write_all(b"still here").unwrap();
    steady.shutdown(Shutdown::Write).unwrap();
    end_of_file(&steady);
    server.stop(Signal::SIGINT).unwrap().well();
}

/// Also pitfall 23: stop and continue interrupt the wait with EINTR.
#[test]
fn journal_05_stop_and_continue_do_not_end_it() {
    let Some(server) = serve(&[]) else { return };
    let steady = server.connect().unwrap();
    greeting(&steady);
    for _ in 0..3 {
        // A wait that has submitted entries returns their number. Only the next wait returns EINTR.
        for _ in 0..5 {
            server.pause();
            server.resume();
        }
        greeting(&server.connect().unwrap());
    }
    steady.shutdown(Shutdown::Write).unwrap();
    end_of_file(&steady);
    server.stop(Signal::SIGINT).unwrap().well();
}

/// The greeting goes to a socket that is reset already. A write would raise SIGPIPE, if
/// Rust's runtime did not ignore it; a send with MSG_NOSIGNAL never does.
#[test]
fn journal_07_greeting_a_client_that_is_gone_raises_no_signal() {
    let Some(server) = serve(&[]) else { return };
    server.pause();
    for _ in 0..20 {
        reset(server.connect().unwrap());
    }
    server.resume();
    greeting(&server.connect().unwrap());
    server.wait_until_empty();
    server.stop(Signal::SIGINT).unwrap().well();
}

/// A client's end is not a message: there is one greeting, and nothing after it. What a client
/// sends is discarded, however long it is.
#[test]
fn journal_09_an_end_is_no_message() {
    let Some(server) = serve(&[]) else { return };
    for length in [0, 1, 1024, 3_000_000] {
        let mut client = server.connect().unwrap();
        client.write_all(&vec![b'x'; length]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        greeting(&client);
        end_of_file(&client);
    }
    server.stop(Signal::SIGINT).unwrap().well();
}

/// Also pitfalls 6 and 7: a completion queue of one entry overflows at once, which
/// ends a multishot on a completion that is a success, and leaves others in the kernel until
/// an enter asks for them.
#[test]
fn journal_10_an_accept_that_ended_on_a_success_is_armed_again() {
    for ring in [["1", "1"], ["2", "2"], ["4", "8"]] {
        let [entries, cq_entries] = ring;
        let arguments = ["--entries", entries, "--cq-entries", cq_entries, "--slots", "200"];
        let Some(server) = serve(&arguments) else { return };
        for round in 0..2 {
            server.pause();
            let clients: Vec<_> = (0..60).map(|_| server.connect().unwrap()).collect();
            server.resume();
            for client in &clients {
                greeting(client);
            }
            // Later ones too.
            assert_eq!(greeting(&server.connect().unwrap()).1, 61 * (round + 1));
        }
        server.wait_until_empty();
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

/// Also pitfall 17: a full queue refuses the push, and nothing is queued.
#[test]
fn journal_11_a_full_submission_queue_loses_nothing() {
    let Some(server) = serve(&["--entries", "1"]) else { return };
    assert_eq!(server.listening()["sq_entries"], 1);
    server.pause();
    let clients: Vec<_> = (0..60).map(|_| server.connect().unwrap()).collect();
    server.resume();
    // Every greeting is two entries, every end one, and a turn has several of each.
    for client in &clients {
        greeting(client);
        client.shutdown(Shutdown::Write).unwrap();
        end_of_file(client);
    }
    let stopped = server.stop(Signal::SIGTERM).unwrap().well();
    assert_eq!((stopped.count("clients"), stopped.count("closed")), (60, 60));
}

/// Also pitfall 2: a loop that does not synchronise its queues waits for nothing and
/// makes twice the calls.
#[test]
fn journal_12_a_turn_is_one_system_call() {
    let Some(server) = serve(&["--quiet"]) else { return };
    for _ in 0..100 {
        let client = server.connect().unwrap();
        greeting(&client);
        client.shutdown(Shutdown::Write).unwrap();
        end_of_file(&client);
    }
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    // Five turns each: the client, its greeting sent, its end, shut down, closed.
    let (clients, enters) = (stopped.count("clients"), stopped.count("enters"));
    assert_eq!(clients, 100);
    assert!(enters <= 5 * clients + 8, "{enters} enters for {clients} clients, one by one");
}

/// Strace also sees a wait for nothing, and a call outside of the loop, which the day may not
/// count.
#[test]
fn journal_12_the_count_is_the_one_that_strace_has() {
    if !Strace::works() {
        return skipped(&test_name(), "strace is not installed, or may not trace here");
    }
    let arguments = ["--listen", "127.0.0.1:0", "--json"];
    let (command, strace) = Strace::wrap(env!("CARGO_BIN_EXE_day03"), &arguments);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    for _ in 0..20 {
        greeting(&server.connect().unwrap());
    }
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!(stopped.count("enters"), strace.calls().unwrap().len() as u64);
}

#[test]
fn journal_12_many_clients_share_a_turn() {
    let Some(server) = serve(&["--quiet", "--entries", "256", "--slots", "200"]) else { return };
    server.pause();
    let clients: Vec<_> = (0..100).map(|_| server.connect().unwrap()).collect();
    server.resume();
    clients.iter().for_each(|client| {
        greeting(client);
    });
    server.pause();
    drop(clients);
    server.resume();
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    // One by one they would take five turns each. Shutdowns are done by the kernel's worker
    // threads, so even here each may end in a separate turn.
    let enters = stopped.count("enters");
    assert!(enters <= 250, "{enters} enters for 100 clients that came and went together");
}

#[test]
fn journal_14_it_listens_on_loopback_unless_told_otherwise() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_day03"));
    let help = command.arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    assert!(help.contains(&format!("[default: {}]", listener::DEFAULT_ADDRESS)), "{help}");
    assert!(listener::parse_address(listener::DEFAULT_ADDRESS).unwrap().ip().is_loopback());
}

#[test]
fn journal_15_a_taken_port_is_named_and_the_remedy_with_it() {
    refused::a_port(Command::new(env!("CARGO_BIN_EXE_day03")));
}

/// Every ring that the options can ask for serves.
#[test]
fn every_kind_of_ring_serves() {
    for ring in [
        &["--sqpoll"][..],
        &["--sqpoll", "--sq-idle", "1", "--entries", "1"],
        &["--entries", "1024", "--cq-entries", "4096", "--slots", "1"],
    ] {
        let Some(server) = serve(ring) else { return };
        for number in 1..=20 {
            let client = server.connect().unwrap();
            assert_eq!(greeting(&client).1, number, "{ring:?}");
            client.shutdown(Shutdown::Write).unwrap();
            end_of_file(&client);
        }
        server.wait_until_empty();
        let stopped = server.stop(Signal::SIGINT).unwrap().well();
        assert_eq!(stopped.count("closed"), 20, "{ring:?}");
    }
}

/// The summary agrees with the kernel: it counts as many ends as clients once all slots are empty.
#[test]
fn every_client_of_a_crowd_is_counted_and_closed() {
    let Some(server) = serve(&["--slots", "8"]) else { return };
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..25 {
                    let client = server.connect().unwrap();
                    greeting(&client);
                }
            });
        }
    });
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("clients"), stopped.count("closed")), (200, 200));
}
