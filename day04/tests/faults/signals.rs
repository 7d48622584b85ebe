//! Signals in the middle of things.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use testkit::{RaiseAtEnd, wait_until};

use super::*;

/// Stop and continue interrupt the wait with EINTR, at any moment of several conversations.
#[test]
fn stopped_and_continued_in_a_burst_it_loses_no_byte() {
    on_each_ring(BOTH, &["--buffers", "8"], |server, reply| {
        let done = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for key in 0..4 {
                let done = &done;
                scope.spawn(move || {
                    for round in 0..10 {
                        let message = bytes(key << 8 | round, 20_000);
                        converse(&server.connect().unwrap(), reply, &message);
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                });
            }
            for _ in 0..30 {
                server.signal(Signal::SIGSTOP);
                std::thread::sleep(Duration::from_millis(1));
                server.signal(Signal::SIGCONT);
                std::thread::sleep(Duration::from_millis(2));
            }
        });
        assert_eq!(done.load(Ordering::Relaxed), 4);
    });
}

/// What came back before the stop was right, and is whole where the client saw an
/// end-of-file after its own.
fn client_of_a_stopping_server(server: &Server, reply: &str, key: u64) -> u64 {
    let Ok(client) = server.connect() else { return 0 };
    let message = bytes(key, 3000);
    // Both may fail: the server may be gone.
    let _ = (&client).write_all(&message);
    let _ = client.shutdown(Shutdown::Write);
    let mut answer = Vec::new();
    let read = (&client).read_to_end(&mut answer);
    let due = due(reply, &message);
    assert!(due.starts_with(&answer), "{reply}: other bytes came back");
    if let Err(error) = read {
        assert_ne!(error.kind(), ErrorKind::WouldBlock, "{reply}: it waited without end");
    }
    u64::from(answer == due)
}

/// One signal or two, in the middle of a burst.
#[test]
fn interrupted_in_a_burst_it_ends_well() {
    for ring in RINGS {
        for (reply, signals) in [("ack", 1), ("echo", 1), ("ack", 2), ("echo", 2)] {
            let arguments = ["--reply", reply, "--slots", "4", "--buffers", "4"];
            let Some(server) = serve(&[&arguments, ring].concat()) else { return };
            let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
            std::thread::scope(|scope| {
                let _end = RaiseAtEnd(&stop);
                for client in 0..6 {
                    let (server, stop, served) = (&server, &stop, &served);
                    scope.spawn(move || {
                        let mut key = client << 32;
                        while !stop.load(Ordering::Relaxed) {
                            let good = client_of_a_stopping_server(server, reply, key);
                            served.fetch_add(good, Ordering::Relaxed);
                            key += 1;
                        }
                    });
                }
                wait_until("clients are served", || served.load(Ordering::Relaxed) > 20);
                for _ in 0..signals {
                    server.signal(Signal::SIGINT);
                    std::thread::sleep(Duration::from_millis(5));
                }
            });
            let stopped = server.wait().unwrap().well();
            // A client can have its answer before the next client sends a request, but never
            // without a request.
            let served = served.load(Ordering::Relaxed);
            assert!(stopped.count("requests") >= served, "{ring:?} {reply}: {stopped:?}");
            assert_eq!(stopped.events.len(), 2, "quiet: {:?}", stopped.events);
        }
    }
}
