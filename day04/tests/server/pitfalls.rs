//! The pitfalls of accepting, of limits and of refused rings.
//!
//! Not here: 1 and 18 to 21 are day 02's, 3 is a unit test of `common::listener`, 10 of
//! `common::slots`; 2 is in `counts.rs`, 6, 7, 14, 17 and 23 are tested with the journal's, 8 and
//! 22 in `buffers.rs`, 9, 12, 13 and 15 in `requests.rs`, 24 in `stop.rs`. 11 is not possible:
//! `types::Fixed` is another type than `types::Fd`. `common::buffers` prevents 16, because it
//! refuses a second owner; a buffer with two owners would show as other bytes in any of the echo
//! tests.

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::Instant;

use nix::sys::signal::Signal;
use nix::sys::socket::{self, Backlog, listen};
use testkit::{
    PATIENCE, io_uring_or_skip, limit_descriptors, listener_of, refused, skipped, wait_until,
};

use super::*;

/// Clients that come while the server is stopped, so that the backlog is full before any
/// accept is armed; each gets its answer.
fn nobody_is_lost(server: Server, clients: usize) {
    server.pause();
    let clients: Vec<_> = (0..clients).map(|_| server.connect().unwrap()).collect();
    let came = clients.len() as u64;
    clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
    server.resume();
    for client in clients {
        // An end-of-file or a reset in its place would be a client that was dropped.
        assert_eq!(to_the_end(&client), b"ack\0");
    }
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("connections"), stopped.count("requests")), (came, came));
}

#[test]
fn pitfall_04_nobody_is_lost_when_the_backlog_is_full_before_arming() {
    // A small ring has few spare slots.
    for arguments in [&["--slots", "4"][..], &["--slots", "4", "--entries", "1"]] {
        let Some(server) = serve(arguments) else { return };
        nobody_is_lost(server, 10);
        let Some(server) = serve(arguments) else { return };
        // The kernel may hold a shorter backlog than ours.
        let somaxconn = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
        nobody_is_lost(server, somaxconn.trim().parse().unwrap_or(128).min(300));
    }
}

/// With no room for spare slots, one client at a time is accepted.
#[test]
fn pitfall_04_nobody_is_lost_without_spare_slots() {
    let mut command = with_json(day04(&["--slots", "4"]));
    limit_descriptors(&mut command, 16, 16);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    nobody_is_lost(server, 60);
}

#[test]
fn pitfall_05_a_table_beyond_the_hard_limit_names_the_limit() {
    if !io_uring_or_skip(&test_name()) {
        return;
    }
    let mut command = day04(&["--slots", "100"]);
    limit_descriptors(&mut command, 64, 64);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    for part in ["RLIMIT_NOFILE", "--slots 64 or less", "`ulimit -Hn 100`"] {
        assert!(error.contains(part), "{part}: {error}");
    }
}

#[test]
fn pitfall_05_a_soft_limit_is_raised() {
    let mut command = with_json(day04(&["--slots", "40", "--reply", "echo"]));
    limit_descriptors(&mut command, 16, 200);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    let clients: Vec<_> = (0..40).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|client| echo(client, b"hello"));
    drop(clients);
    server.stop(Signal::SIGINT).unwrap().well();
}

/// A listener that was shut down refuses every accept at once, as happens when the system has no
/// files or memory left. This way needs no privileges, and can be undone.
#[test]
fn pitfall_05_an_accept_that_keeps_failing_is_retried_without_a_spin() {
    let Some(server) = serve_aloud(&["--slots", "64"]) else { return };
    assert_eq!(ask(&server, b"hello"), b"ack\0");
    let listener = match listener_of(server.pid()) {
        Ok(listener) => listener,
        Err(error) => {
            return skipped(&test_name(), format_args!("no way to the server's listener: {error}"));
        }
    };
    let failures = || server.events().iter().filter(|it| it["event"] == "accept failed").count();
    let start = Instant::now();
    socket::shutdown(listener.as_raw_fd(), socket::Shutdown::Both).unwrap();
    wait_until("the accept has failed five times", || failures() >= 5);
    // A generous limit: a spin would fail thousands of times in that time.
    let most = 10 + start.elapsed().as_millis() as usize / 10;
    assert!(failures() <= most, "{} failures in {:?}", failures(), start.elapsed());

    listen(&listener, Backlog::new(8).unwrap()).unwrap();
    let mut client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(b"hello").unwrap();
    assert_eq!(to_the_end(&client), b"ack\0");
    drop((client, listener));
    server.stop(Signal::SIGINT).unwrap().well();
}

/// If the listener is dropped with its accept still armed, the accept goes on and keeps the port.
#[test]
fn pitfall_25_the_port_is_free_at_once() {
    for arguments in [&[][..], &["--max", "2"]] {
        let Some(server) = serve(arguments) else { return };
        let address = server.address();
        for _ in 0..2 {
            assert_eq!(ask(&server, b"hello"), b"ack\0");
        }
        let stopped = match arguments {
            [] => server.stop(Signal::SIGINT),
            _ => server.wait(),
        };
        stopped.unwrap().well();
        TcpListener::bind(address).expect("the port is free");
    }
}

#[test]
fn pitfall_26_a_refused_setup_names_its_cause_and_the_remedy() {
    refused::a_ring(day04);
}

#[test]
fn pitfall_26_a_refused_enter_names_its_cause_and_the_remedy() {
    refused::an_enter(&test_name(), day04(&["--quiet"]));
}
