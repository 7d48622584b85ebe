//! The kernel can start no worker thread (RLIMIT_NPROC, a cgroup's `pids.max`): a shutdown,
//! which needs one, fails. Every client still sees the end.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use testkit::{end_of_file, has_worker, skipped, start_without_workers_or_skip};

use super::hog::Hog;
use super::*;

/// A server without workers; `None`, with a message, if that is not possible here.
fn serve_alone(arguments: &[&str]) -> Option<Server> {
    let mut command = with_json(day04(arguments));
    command.arg("--quiet");
    start_without_workers_or_skip(&test_name(), command)
}

/// Stops it. If it had workers anyway, prints that: the test has shown nothing then.
fn stop_alone(server: Server) {
    if has_worker(server.pid()).unwrap() {
        skipped(&test_name(), "the limit does not bind here");
    }
    server.stop(Signal::SIGINT).unwrap().well();
}

#[test]
fn without_workers_clients_get_their_answer_and_the_end() {
    for arguments in [&[][..], &["--entries", "1"], &["--slots", "1"]] {
        for reply in ["ack", "echo"] {
            let arguments = [&["--reply", reply], arguments].concat();
            let Some(server) = serve_alone(&arguments) else { return };
            for _ in 0..3 {
                let mut client = server.connect().unwrap();
                client.write_all(b"hello").unwrap();
                if reply == "echo" {
                    client.shutdown(Shutdown::Write).unwrap();
                }
                let answer = if reply == "ack" { &b"ack\0"[..] } else { b"hello" };
                assert_eq!(to_the_end(&client), answer, "{arguments:?}");
            }
            server.wait_until_empty();
            stop_alone(server);
        }
    }
}

/// Clients get their end-of-file at once, and not when the server gives up waiting for theirs.
#[test]
fn without_workers_the_end_comes_before_patience_ends() {
    let Some(server) = serve_alone(&[]) else { return };
    let start = Instant::now();
    for _ in 0..4 {
        assert_eq!(ask(&server, b"hello"), b"ack\0");
    }
    let four = start.elapsed();
    stop_alone(server);
    // So long it waits for a client that goes on sending.
    let Some(server) = serve(&[]) else { return };
    let mut client = server.connect().unwrap();
    let start = Instant::now();
    while client.write_all(b"more").is_ok() {
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(four < 2 * start.elapsed(), "{four:?} for four, {:?} for one", start.elapsed());
    server.stop(Signal::SIGINT).unwrap().well();
}

#[test]
fn without_workers_those_who_only_take_room_lose_it() {
    for reply in ["ack", "echo"] {
        let arguments = ["--reply", reply, "--slots", "2", "--idle-timeout", "0.3"];
        let Some(server) = serve_alone(&arguments) else { return };
        let silent = [server.connect().unwrap(), server.connect().unwrap()];
        silent.iter().for_each(end_of_file);
        if reply == "echo" {
            drop(Hog::feed(&server).stop());
        }
        server.wait_until_empty();
        stop_alone(server);
    }
}

#[test]
fn without_workers_a_signal_ends_it() {
    for reply in ["ack", "echo"] {
        let Some(server) = serve_alone(&["--reply", reply]) else { return };
        let silent = server.connect().unwrap();
        let greedy = (reply == "echo").then(|| Hog::feed(&server).stop());
        stop_alone(server);
        end_of_file(&silent);
        drop(greedy);
    }
}
