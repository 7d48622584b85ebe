//! Endings: pitfall 24, and `--max`.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::{RaiseAtEnd, end_of_file, ring_slots, skipped, wait_until};

use super::hog::Hog;
use super::*;

#[test]
fn pitfall_24_a_stop_under_load_ends_with_a_summary() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        for arguments in [
            &[][..],
            &["--reply", "echo", "--buffers", "2"],
            &["--slots", "2", "--entries", "1", "--cq-entries", "1"],
        ] {
            let Some(server) = serve(arguments) else { return };
            let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
            let address = server.address();
            let stopped = std::thread::scope(|scope| {
                let _end = RaiseAtEnd(&stop);
                for _ in 0..6 {
                    scope.spawn(|| {
                        // Errors are what a stopping server's clients see.
                        while !stop.load(Ordering::Relaxed) {
                            let Ok(mut client) = TcpStream::connect(address) else { continue };
                            let _ = client.write_all(b"hello");
                            let _ = client.shutdown(Shutdown::Write);
                            let mut answer = Vec::new();
                            let read = client.read_to_end(&mut answer).unwrap_or(0);
                            served.fetch_add(u64::from(read > 0), Ordering::Relaxed);
                        }
                    });
                }
                wait_until("clients are served", || served.load(Ordering::Relaxed) > 50);
                server.stop(signal)
            });
            let stopped = stopped.unwrap().well();
            assert!(stopped.count("requests") > 50);
            assert_eq!(stopped.events.len(), 2, "quiet: {:?}", stopped.events);
        }
    }
}

/// What has arrived when the signal comes is answered, on parked connections as well.
#[test]
fn pitfall_24_what_has_arrived_is_answered() {
    for arguments in [&[][..], &["--buffers", "1"], &["--entries", "1"]] {
        for reply in ["ack", "echo"] {
            let Some(server) = serve(&[&["--reply", reply], arguments].concat()) else { return };
            let clients: Vec<_> = (0..20).map(|_| server.connect().unwrap()).collect();
            wait_until("all are in", || ring_slots(server.pid()).unwrap().len() == clients.len());
            server.pause();
            clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
            server.signal(Signal::SIGINT);
            server.resume();
            let answer = if reply == "ack" { b"ack\0" } else { &b"hello"[..] };
            for client in clients {
                assert_eq!(to_the_end(&client), answer, "{arguments:?}");
            }
            let stopped = server.wait().unwrap().well();
            assert_eq!(stopped.count("requests"), 20, "{arguments:?}");
        }
    }
}

/// The same for clients that are let in only then: some into free slots, the others into spare
/// slots, because earlier clients stay in theirs.
#[test]
fn pitfall_24_what_has_arrived_is_answered_to_late_comers_too() {
    for arguments in [&[][..], &["--slots", "4"], &["--buffers", "1"], &["--sqpoll"]] {
        for reply in ["ack", "echo"] {
            let Some(server) = serve(&[&["--reply", reply], arguments].concat()) else { return };
            if server.listening()["accepting"] != "multishot" {
                return skipped(&test_name(), "RLIMIT_NOFILE leaves no spare slots");
            }
            server.pause();
            let clients: Vec<_> = (0..10).map(|_| server.connect().unwrap()).collect();
            clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
            server.signal(Signal::SIGINT);
            server.resume();
            let answer = if reply == "ack" { b"ack\0" } else { &b"hello"[..] };
            for client in &clients {
                assert_eq!(to_the_end(client), answer, "{arguments:?}");
            }
            drop(clients);
            assert_eq!(server.wait().unwrap().well().count("requests"), 10, "{arguments:?}");
        }
    }
}

/// Even a long one, to a client that begins to read only then. Of what is still on its way
/// the server takes as much as comes without waiting; all of that is returned, and there is
/// no reset.
#[test]
fn pitfall_24_a_long_echo_is_no_torso() {
    let Some(server) = serve_echo(&[]) else { return };
    let client = server.connect().unwrap();
    let sent = noise(1 << 20);
    (&client).write_all(&sent).unwrap();
    server.signal(Signal::SIGINT);
    let back = to_the_end(&client);
    drop(client);
    assert!(sent.starts_with(&back), "other bytes came back");
    let stopped = server.wait().unwrap().well();
    assert_eq!(stopped.count("bytes_in"), stopped.count("bytes_out"));
    assert_eq!(stopped.count("bytes_out"), back.len() as u64);
}

#[test]
fn pitfall_24_silent_clients_see_their_end() {
    for reply in ["ack", "echo"] {
        let Some(server) = serve(&["--reply", reply]) else { return };
        let client = server.connect().unwrap();
        wait_until("it is in", || !ring_slots(server.pid()).unwrap().is_empty());
        server.signal(Signal::SIGINT);
        end_of_file(&client);
        drop(client);
        let stopped = server.wait().unwrap().well();
        assert_eq!(stopped.count("requests"), 0);
    }
}

/// The first signal waits for a client that does not take its replies, though not forever;
/// the second does not wait.
#[test]
fn pitfall_24_a_second_signal_waits_for_nobody() {
    let stop = |signals: usize| {
        let server = serve_echo(&[])?;
        let greedy = Hog::feed(&server).stop();
        let start = Instant::now();
        for _ in 0..signals {
            server.signal(Signal::SIGINT);
            // Two pending signals of one kind count as one.
            std::thread::sleep(Duration::from_millis(50));
        }
        let stopped = server.wait().unwrap().well();
        drop(greedy);
        assert_eq!(stopped.count("connections"), 1);
        Some(start.elapsed())
    };
    let Some(patient) = stop(1) else { return };
    // The best of three: this machine may be busy.
    let hasty = (0..3).filter_map(|_| stop(2)).min().unwrap();
    assert!(hasty < patient / 2, "{hasty:?} after two signals, {patient:?} after one");
}

/// The last client that is let in ends the accepting. The clients that are in may stay.
#[test]
fn max_lets_so_many_in_and_ends_when_they_have_left() {
    let Some(mut server) = serve_echo(&["--max", "3"]) else { return };
    let clients: Vec<_> = (0..3).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|client| echo(client, b"hello"));
    clients.iter().for_each(|client| echo(client, b"and again"));
    for client in clients {
        assert!(server.is_running());
        assert_eq!(echo_all(&client, b"bye"), b"bye");
    }
    let stopped = server.wait().unwrap().well();
    assert_eq!(stopped.count("connections"), 3);
}

#[test]
fn max_and_a_signal_before_that() {
    let Some(server) = serve(&["--max", "3"]) else { return };
    assert_eq!(ask(&server, b"hello"), b"ack\0");
    let stopped = server.stop(Signal::SIGTERM).unwrap().well();
    assert_eq!(stopped.count("connections"), 1);
}

#[test]
fn max_and_a_burst_of_more() {
    let Some(server) = serve(&["--max", "5", "--slots", "2"]) else { return };
    server.pause();
    let clients: Vec<_> = (0..20).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
    server.resume();
    for client in &clients[..5] {
        assert_eq!(to_the_end(client), b"ack\0");
    }
    drop(clients);
    let stopped = server.wait().unwrap().well();
    assert_eq!((stopped.count("connections"), stopped.count("requests")), (5, 5));
}
