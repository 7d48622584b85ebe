//! What it prints: for people, for programs, and with `--quiet`.

use std::io::Write;
use std::net::Shutdown;

use nix::sys::signal::Signal;
use serde_json::json;
use testkit::{Talking, Unread, end_of_file};

use super::*;

/// A server that prints for people; `None`, with a message, if it cannot run here.
fn talk(arguments: &[&str]) -> Option<Talking> {
    drop(serve(&[])?);
    Some(Talking::start(day03(arguments)).unwrap())
}

#[test]
fn a_session_reads_well() {
    let Some(mut server) = talk(&["--slots", "1"]) else { return };
    let address = server.address();
    let first = TcpStream::connect(address).unwrap();
    greeting(&first);
    server.until("full: 1 served").unwrap();
    let second = TcpStream::connect(address).unwrap();
    drop(first);
    greeting(&second);
    server.until("full: 1 served").unwrap();
    second.shutdown(Shutdown::Write).unwrap();
    end_of_file(&second);
    server.until("client 2 has left").unwrap();
    let said = server.stop(Signal::SIGINT).unwrap();
    assert_eq!(said.status.code(), Some(0));
    assert_eq!(said.stderr, "");
    insta::assert_snapshot!(said.for_snapshot(address, &["system calls", "accepts"]));
}

#[test]
fn quiet_leaves_the_address_and_the_summary() {
    let Some(server) = talk(&["--quiet"]) else { return };
    let address = server.address();
    greeting(&TcpStream::connect(address).unwrap());
    let said = server.stop(Signal::SIGTERM).unwrap();
    assert_eq!(said.status.code(), Some(0));
    let text = said.for_snapshot(address, &["system calls", "accept"]);
    assert_eq!(
        text,
        "listening on ADDRESS\n\n\
         1 client, 1 slot closed\nN accept armed, N system calls to submit and wait\n"
    );
}

#[test]
fn json_lines_begin_with_the_address_and_end_with_the_summary() {
    let Some(server) = serve(&["--slots", "3"]) else { return };
    assert_eq!(server.listening()["slots"], 3);
    let client = server.connect().unwrap();
    let (slot, number) = greeting(&client);
    let accepted = serde_json::json!({"event": "accepted", "client": number, "slot": slot});
    drop(client);
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    let events: Vec<_> = stopped.events.iter().map(|event| &event["event"]).collect();
    assert_eq!(events, ["listening", "accepted", "closed", "stopping", "summary"]);
    assert_eq!(stopped.events[1], accepted);
}

#[test]
fn a_reader_that_goes_away_does_not_end_it() {
    for arguments in [&[][..], &["--quiet"]] {
        let Some(mut server) = talk(arguments) else { return };
        server.hang_up();
        for _ in 0..3 {
            let mut client = TcpStream::connect(server.address()).unwrap();
            greeting(&client);
            client.write_all(b"still there?").unwrap();
        }
        let said = server.stop(Signal::SIGINT).unwrap();
        assert_eq!((said.status.code(), said.stderr.as_str()), (Some(0), ""));
    }
}

/// Its reader has stopped, as with Ctrl-S: neither a client nor the end waits for it. The output is
/// kept for a reader that comes back.
#[test]
fn a_reader_that_stops_stops_nobody() {
    const CLIENTS: usize = 100;
    let serve_unread = || {
        drop(serve(&[])?);
        let server = Unread::start(with_json(day03(&[]))).unwrap();
        for _ in 0..CLIENTS {
            let client = server.connect().unwrap();
            greeting(&client);
            client.shutdown(Shutdown::Write).unwrap();
            end_of_file(&client);
        }
        Some(server)
    };
    let Some(server) = serve_unread() else { return };
    assert!(server.stop(Signal::SIGINT).unwrap().success());

    let Some(server) = serve_unread() else { return };
    let mut events = server.stop_and_read(Signal::SIGINT).unwrap();
    let summary = events.pop().unwrap();
    assert_eq!((&summary["event"], &summary["lines_dropped"]), (&json!("summary"), &json!(0)));
    // Two lines for each client, and one line for the stop.
    assert_eq!(events.len(), 2 * CLIENTS + 1);
}

#[test]
fn options_that_make_no_sense_are_refused_with_exit_code_2() {
    for (arguments, named) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&["--slots", "0"], "--slots"),
        (&["--slots", "many"], "--slots"),
        (&["--max", "0"], "--max"),
        (&["--listen", "4242"], "--listen"),
        (&["extra"], "extra"),
    ] {
        let output = day03(&[]).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(named), "{arguments:?}: {error}");
    }
}
