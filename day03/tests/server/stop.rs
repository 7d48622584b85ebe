//! Endings: pitfall 24, and `--max`.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use nix::sys::signal::Signal;
use testkit::{
    RaiseAtEnd, end_of_file, has_worker, skipped, start_without_workers_or_skip, wait_until,
};

use super::*;

#[test]
fn pitfall_24_a_stop_under_load_closes_everybody() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        for arguments in [&["--quiet"][..], &["--quiet", "--slots", "2", "--entries", "1"]] {
            let Some(server) = serve(arguments) else { return };
            let (stop, served) = (AtomicBool::new(false), AtomicU64::new(0));
            let address = server.address();
            let stopped = std::thread::scope(|scope| {
                let _end = RaiseAtEnd(&stop);
                for _ in 0..6 {
                    scope.spawn(|| {
                        // Errors are normal for the clients of a stopping server.
                        while !stop.load(Ordering::Relaxed) {
                            let Ok(mut client) = TcpStream::connect(address) else { continue };
                            let _ = client.write_all(b"hello");
                            let read = client.read(&mut [0; 64]).unwrap_or(0);
                            served.fetch_add(u64::from(read > 0), Ordering::Relaxed);
                        }
                    });
                }
                wait_until("clients are served", || served.load(Ordering::Relaxed) > 50);
                server.stop(signal)
            });
            let stopped = stopped.unwrap().well();
            assert!(stopped.count("clients") > 50);
            assert_eq!(stopped.events.len(), 2, "quiet: {:?}", stopped.events);
        }
    }
}

#[test]
fn pitfall_24_clients_that_stay_and_those_that_wait_see_their_end() {
    let Some(server) = serve(&["--slots", "2"]) else { return };
    let inside = [server.connect().unwrap(), server.connect().unwrap()];
    inside.iter().for_each(|client| {
        greeting(client);
    });
    let outside = server.connect().unwrap();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    inside.iter().for_each(end_of_file);
    // It was never greeted. If it was still in the backlog, the kernel has reset it.
    match (&outside).read_to_end(&mut Vec::new()) {
        Ok(read) => assert_eq!(read, 0),
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
    assert!(stopped.events.iter().any(|event| event["signal"] == "SIGINT"), "{stopped:?}");
}

#[test]
fn a_second_signal_does_no_harm() {
    let Some(server) = serve(&[]) else { return };
    greeting(&server.connect().unwrap());
    server.pause();
    server.signal(Signal::SIGINT);
    server.signal(Signal::SIGTERM);
    server.resume();
    server.stop(Signal::SIGINT).unwrap().well();
}

/// The kernel can start no worker thread (RLIMIT_NPROC): every shutdown fails, and every client
/// still gets its end-of-file.
#[test]
fn without_workers_clients_see_their_end_and_a_signal_ends_it() {
    let mut command = with_json(day03(&["--slots", "2"]));
    command.arg("--quiet");
    let Some(server) = start_without_workers_or_skip(&test_name(), command) else { return };
    for _ in 0..3 {
        let client = server.connect().unwrap();
        greeting(&client);
        client.shutdown(Shutdown::Write).unwrap();
        end_of_file(&client);
    }
    let stays = server.connect().unwrap();
    greeting(&stays);
    if has_worker(server.pid()).unwrap() {
        skipped(&test_name(), "the limit does not bind here");
    }
    server.stop(Signal::SIGINT).unwrap().well();
    end_of_file(&stays);
}

/// The last client that is let in ends the accepting, and the connected clients stay.
#[test]
fn max_lets_so_many_in_and_ends_when_they_have_left() {
    let Some(mut server) = serve(&["--max", "3"]) else { return };
    let clients: Vec<_> = (0..3).map(|_| server.connect().unwrap()).collect();
    for client in &clients {
        greeting(client);
    }
    // What they send now is discarded as before.
    for mut client in &clients {
        client.write_all(b"not yet").unwrap();
    }
    let events = server.events().len();
    drop(server.connect());
    for (left, client) in clients.iter().enumerate() {
        assert!(server.is_running());
        client.shutdown(Shutdown::Write).unwrap();
        end_of_file(client);
        let closed = |server: &Server| {
            server.events()[events..].iter().filter(|it| it["event"] == "closed").count()
        };
        wait_until("it says so", || closed(&server) == left + 1 || !server.is_running());
    }
    let stopped = server.wait().unwrap().well();
    assert_eq!(stopped.count("clients"), 3);
}

#[test]
fn max_and_a_signal_before_that() {
    let Some(server) = serve(&["--max", "3"]) else { return };
    let client = server.connect().unwrap();
    greeting(&client);
    let stopped = server.stop(Signal::SIGTERM).unwrap().well();
    end_of_file(&client);
    assert_eq!(stopped.count("clients"), 1);
}
