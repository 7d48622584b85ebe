//! System calls, by the day's own count and by strace: defect 12 of the journal, and pitfall 2.
//!
//! With one client the numbers are exact, unless this machine starves the client so long
//! that the server's own 20 ms pass; so the best of a few runs counts.

use nix::sys::signal::Signal;
use testkit::{Stopped, Strace, skipped};

use super::*;

const ROUNDS: u64 = 100;
/// Enters of a server that starts, serves one last client and stops.
const OTHERS: u64 = 10;
const ATTEMPTS: u32 = 5;
/// Sizes that leave room for a multishot accept under a low RLIMIT_NOFILE too.
const ROOMY: [&str; 4] = ["--slots", "200", "--entries", "64"];

/// Runs `attempt` until it takes no more than `limit` enters; fails if it never does.
fn within(limit: u64, attempt: impl Fn() -> Option<u64>) {
    let mut taken = Vec::new();
    for _ in 0..ATTEMPTS {
        let Some(enters) = attempt() else { return };
        if enters <= limit {
            return;
        }
        taken.push(enters);
    }
    panic!("{taken:?} enters for {ROUNDS} requests, at most {limit} are needed");
}

fn acks(server: Server) -> Stopped {
    for _ in 0..ROUNDS {
        assert_eq!(ask(&server, b"hello"), b"ack\0");
    }
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("connections"), stopped.count("requests")), (ROUNDS, ROUNDS));
    stopped
}

fn echoes(server: Server) -> Stopped {
    let client = server.connect().unwrap();
    for _ in 0..ROUNDS {
        echo(&client, b"hello");
    }
    drop(client);
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("connections"), stopped.count("requests")), (1, ROUNDS));
    stopped
}

#[test]
fn journal_12_an_acked_connection_takes_two_enters() {
    within(2 * ROUNDS + OTHERS, || Some(acks(serve(&ROOMY)?).count("enters")));
}

#[test]
fn journal_12_an_echoed_request_takes_one_enter() {
    within(ROUNDS + OTHERS, || Some(echoes(serve_echo(&ROOMY)?).count("enters")));
}

#[test]
fn journal_12_the_summary_divides_right() {
    let Some(server) = serve(&ROOMY) else { return };
    let summary = acks(server).summary;
    let (enters, each) = (&summary["enters"], &summary["enters_per_request"]);
    assert_eq!(each.as_f64().unwrap(), enters.as_f64().unwrap() / ROUNDS as f64);
}

/// Many clients at a time share the turns.
#[test]
fn journal_12_clients_that_come_together_share_a_turn() {
    let Some(server) = serve(&ROOMY) else { return };
    for _ in 0..3 {
        server.pause();
        let clients: Vec<_> = (0..100).map(|_| server.connect().unwrap()).collect();
        clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
        server.resume();
        clients.iter().for_each(|client| assert_eq!(to_the_end(client), b"ack\0"));
    }
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    let enters = stopped.count("enters");
    assert!(enters <= 300, "{enters} enters for 300 connections, 100 at a time");
}

/// Strace also sees a wait for nothing, and a call outside of the loop, which the day may not
/// count.
#[test]
fn pitfall_02_the_count_is_the_one_that_strace_has() {
    if !Strace::works() {
        return skipped(&test_name(), "strace is not installed, or may not trace here");
    }
    let program = env!("CARGO_BIN_EXE_day04");
    let common = ["--listen", "127.0.0.1:0", "--json", "--quiet"];
    for (arguments, talk) in [
        (&[][..], acks as fn(Server) -> Stopped),
        (&["--reply", "echo"], echoes),
        (&["--reply", "echo", "--entries", "1"], echoes),
        (&["--sqpoll", "--sq-idle", "1"], acks),
    ] {
        let (command, strace) = Strace::wrap(program, &[&common, arguments].concat());
        let Some(server) = start_or_skip(&test_name(), command) else { return };
        let stopped = talk(server);
        let calls = strace.calls().unwrap();
        assert_eq!(stopped.count("enters"), calls.len() as u64, "{arguments:?}");
    }
}

/// The registered ring descriptor is in use (pitfall 1): its flag is in each call.
#[test]
fn every_enter_names_the_registered_ring() {
    if !Strace::works() {
        return skipped(&test_name(), "strace is not installed, or may not trace here");
    }
    let arguments = ["--listen", "127.0.0.1:0", "--json", "--quiet"];
    let (command, strace) = Strace::wrap(env!("CARGO_BIN_EXE_day04"), &arguments);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    acks(server);
    // Older versions of strace print the flag as a number.
    let registered =
        |call: &&String| call.contains("IORING_ENTER_REGISTERED_RING") || call.contains("0x10");
    let calls = strace.calls().unwrap();
    assert_eq!(calls.iter().filter(registered).count(), calls.len(), "{}", calls[0]);
}
