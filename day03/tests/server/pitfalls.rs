//! The pitfalls that a server which only accepts can fall into.
//!
//! Not here: 1 and 18 to 21 are day 02's, 3 is a unit test of `common::listener`, 10 of
//! `common::slots`; 2, 6, 7, 14, 17 and 23 are tested with the journal's; 8, 9, 12, 13, 15, 16 and
//! 22 need a server that receives and answers (day 04). 11 is not possible:
//! `types::Fixed` is another type than `types::Fd`.

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use nix::sys::socket::{Backlog, Shutdown, listen, shutdown};
use testkit::{
    PATIENCE, io_uring_or_skip, limit_descriptors, listener_of, refused, skipped, wait_until,
};

use super::*;

/// Clients that come while the server is stopped, so that the backlog is full before any
/// accept is armed; each stays until it was greeted.
fn nobody_is_lost(server: Server, clients: usize) {
    server.pause();
    let clients: Vec<_> = (0..clients).map(|_| server.connect().unwrap()).collect();
    server.resume();
    let count_of = clients.len() as u64;
    for (client, number) in clients.into_iter().zip(1..) {
        // An end-of-file or a reset instead would mean that a client was dropped.
        assert_eq!(greeting(&client).1, number);
    }
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("clients"), stopped.count("closed")), (count_of, count_of));
}

#[test]
fn pitfall_04_nobody_is_lost_when_the_backlog_is_full_before_arming() {
    let Some(server) = serve(&["--slots", "4"]) else { return };
    nobody_is_lost(server, 10);
    let Some(server) = serve(&["--slots", "4"]) else { return };
    // The kernel may hold a shorter backlog than ours.
    let somaxconn = fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    nobody_is_lost(server, somaxconn.trim().parse().unwrap_or(128).min(300));
}

/// No client leaves meanwhile, so the accept must stay cancelled.
#[test]
fn pitfall_04_nobody_is_lost_when_clients_come_one_after_the_other() {
    let Some(server) = serve(&["--slots", "4"]) else { return };
    let mut clients: Vec<_> = (0..4).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|client| {
        greeting(client);
    });
    wait_until("it is full", || server.events().iter().any(|event| event["event"] == "full"));
    for _ in 4..60 {
        clients.push(server.connect().unwrap());
        // An accept that was not cancelled would have the time to take this client alone.
        thread::sleep(Duration::from_millis(2));
    }
    // One leaves, the next is served, in the order they came.
    for (client, number) in clients.split_off(4).into_iter().zip(5..) {
        drop(clients.remove(0));
        assert_eq!(greeting(&client).1, number);
        clients.push(client);
    }
    server.stop(Signal::SIGINT).unwrap().well();
}

/// With no room for spare slots, one client at a time is accepted.
#[test]
fn pitfall_04_nobody_is_lost_without_spare_slots() {
    let mut command = with_json(day03(&["--slots", "4"]));
    limit_descriptors(&mut command, 16, 16);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    assert_eq!(server.listening()["table"], 16);
    nobody_is_lost(server, 60);
}

/// It says when it stops accepting, and when it goes on.
#[test]
fn pitfall_04_at_capacity_the_accept_is_cancelled_and_armed_again_later() {
    let Some(server) = serve(&["--slots", "8"]) else { return };
    let clients: Vec<_> = (0..8).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|client| {
        greeting(client);
    });
    let news = |server: &Server| -> Vec<String> {
        let events = server.events();
        let names = events.iter().filter_map(|event| event["event"].as_str());
        names.filter(|name| matches!(*name, "full" | "room")).map(str::to_string).collect()
    };
    wait_until("it is full", || news(&server) == ["full"]);
    drop(clients);
    server.wait_until_empty();
    wait_until("it has room again", || news(&server) == ["full", "room"]);
    greeting(&server.connect().unwrap());
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("accepts_armed"), stopped.count("lost")), (2, 0));
}

/// Shows why the spare slots and the cancel are needed.
#[test]
fn pitfall_04_done_naively_clients_are_lost() {
    let Some(server) = serve(&["--slots", "4", "--naive"]) else { return };
    server.pause();
    let clients: Vec<_> = (0..10).map(|_| server.connect().unwrap()).collect();
    server.resume();
    let (served, lost) = clients.split_at(4);
    for (client, number) in served.iter().zip(1..) {
        assert_eq!(greeting(client).1, number);
    }
    for mut client in lost {
        // The kernel accepted it and dropped it at once: it gets an end-of-file or a reset, and no
        // byte.
        assert!(!client.read(&mut [0]).is_ok_and(|read| read > 0));
    }
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("clients"), stopped.count("lost")), (4, 6));
}

#[test]
fn pitfall_05_a_table_beyond_the_hard_limit_names_the_limit() {
    if !io_uring_or_skip(&test_name()) {
        return;
    }
    let mut command = day03(&["--slots", "100"]);
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
    let mut command = with_json(day03(&["--slots", "40"]));
    limit_descriptors(&mut command, 16, 200);
    let Some(server) = start_or_skip(&test_name(), command) else { return };
    let clients: Vec<_> = (0..40).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|client| {
        greeting(client);
    });
    server.stop(Signal::SIGINT).unwrap().well();
}

/// A listener that was shut down refuses every accept at once, as happens when the system has no
/// files or memory left. This way needs no privileges, and can be undone.
#[test]
fn pitfall_05_an_accept_that_keeps_failing_is_retried_without_a_spin() {
    let Some(server) = serve(&[]) else { return };
    greeting(&server.connect().unwrap());
    let listener = match listener_of(server.pid()) {
        Ok(listener) => listener,
        Err(error) => {
            return skipped(&test_name(), format_args!("no way to the server's listener: {error}"));
        }
    };
    let failures = || server.events().iter().filter(|it| it["event"] == "accept failed").count();
    let start = Instant::now();
    shutdown(listener.as_raw_fd(), Shutdown::Both).unwrap();
    wait_until("the accept has failed five times", || failures() >= 5);
    // A generous limit: a spin would fail thousands of times in that time.
    let most = 10 + start.elapsed().as_millis() as usize / 10;
    assert!(failures() <= most, "{} failures in {:?}", failures(), start.elapsed());

    listen(&listener, Backlog::new(8).unwrap()).unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(greeting(&client).1, 2);
    drop(listener);
    server.stop(Signal::SIGINT).unwrap().well();
}

/// If the listener is dropped with its accept still armed, the accept goes on and keeps the port.
#[test]
fn pitfall_25_the_port_is_free_at_once() {
    for arguments in [&[][..], &["--max", "2"]] {
        let Some(server) = serve(arguments) else { return };
        let address = server.address();
        let clients = [server.connect().unwrap(), server.connect().unwrap()];
        clients.iter().for_each(|client| {
            greeting(client);
        });
        drop(clients);
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
    refused::a_ring(day03);
}

#[test]
fn pitfall_26_a_refused_enter_names_its_cause_and_the_remedy() {
    refused::an_enter(&test_name(), day03(&["--quiet"]));
}
