//! Clients that say nothing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::{RaiseAtEnd, end_of_file, wait_until};

use super::hog::Hog;
use super::*;

/// Whether the stream has ended, without waiting for it.
fn has_ended(client: &TcpStream) -> bool {
    client.set_nonblocking(true).unwrap();
    let peeked = client.peek(&mut [0]);
    client.set_nonblocking(false).unwrap();
    matches!(peeked, Ok(0))
}

#[test]
fn a_silent_client_is_closed_and_a_talking_one_is_not() {
    let Some(server) = serve_echo(&["--idle-timeout", "2"]) else { return };
    let (silent, talking) = (server.connect().unwrap(), server.connect().unwrap());
    wait_until("the silent client is closed", || {
        echo(&talking, b"still here");
        std::thread::sleep(Duration::from_millis(20));
        has_ended(&silent)
    });
    end_of_file(&silent);
    echo(&talking, b"still here");
    drop(talking);
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!(stopped.count("timed_out"), 1);
}

/// With a part of a request, with replies that it does not read, and for the ack.
#[test]
fn whoever_makes_no_progress_is_closed() {
    for reply in ["ack", "echo"] {
        let arguments = ["--reply", reply, "--idle-timeout", "0.2", "--slots", "2"];
        let Some(server) = serve(&arguments) else { return };
        let silent = [server.connect().unwrap(), server.connect().unwrap()];
        silent.iter().for_each(end_of_file);
        if reply == "echo" {
            let greedy = Hog::feed(&server).stop();
            server.wait_until_empty();
            drop(greedy);
        }
        // On a busy machine even this client may be too slow for the server: it tries again.
        wait_until("a client is answered", || {
            let mut client = server.connect().unwrap();
            client.write_all(b"hello").is_ok() && client.read_exact(&mut [0]).is_ok()
        });
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

/// A reply takes it longer than the idle time, but it reads.
#[test]
fn a_slow_reader_is_not_taken_for_a_silent_one() {
    for buffer_size in ["4096", "1048576"] {
        let arguments = ["--idle-timeout", "2", "--buffer-size", buffer_size];
        let Some(server) = serve_echo(&arguments) else { return };
        // With a small buffer, TCP on our side soon acknowledges what we have read.
        let (slow, enough) = (&connect_with_small_buffer(&server), &AtomicBool::new(false));
        std::thread::scope(|scope| {
            let _end = RaiseAtEnd(enough);
            scope.spawn(move || {
                let mut writer = slow;
                while writer.write(&[b'x'; 1 << 16]).is_ok() {}
            });
            let reading = scope.spawn(move || {
                let mut reader = slow;
                let mut read = Ok(());
                while read.is_ok() && !enough.load(Ordering::Relaxed) {
                    read = reader.read_exact(&mut [0; 1024]);
                    std::thread::sleep(Duration::from_millis(20));
                }
                slow.shutdown(Shutdown::Both).unwrap_or(()); // this ends the thread that writes
                read
            });
            // Two that never read are closed meanwhile, one after the other.
            for _ in 0..2 {
                let greedy = Hog::feed(&server);
                wait_until("one that never reads is closed", || greedy.was_closed());
            }
            enough.store(true, Ordering::Relaxed);
            reading.join().unwrap().expect("more of the echo");
        });
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

/// No client is closed for being silent, and an idle server sleeps.
#[test]
fn an_idle_timeout_of_zero_closes_nobody() {
    let Some(server) = serve_echo(&["--idle-timeout", "0"]) else { return };
    let silent = server.connect().unwrap();
    echo(&silent, b"hello");
    std::thread::sleep(Duration::from_millis(400));
    assert!(!has_ended(&silent));
    drop(silent);
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert!(stopped.count("enters") < 30, "{}", stopped.summary);
}
