//! What it prints: for people, for programs, and with `--quiet`.

use std::process::Stdio;

use nix::sys::signal::Signal;
use testkit::{PATIENCE, Talking, Unread, output_within, skipped};

use super::*;

const COUNTS: [&str; 2] = ["system calls", "a request"];
/// Sizes that fit a low RLIMIT_NOFILE too, so that what is granted is the same everywhere.
const FITTING: [&str; 4] = ["--slots", "64", "--entries", "64"];

/// A server that prints for people; `None`, with a message, if it cannot run here.
fn talk(arguments: &[&str]) -> Option<Talking> {
    drop(serve(&[])?);
    Some(Talking::start(day04(arguments)).unwrap())
}

#[test]
fn an_ack_session_reads_well() {
    let Some(mut server) = talk(&FITTING) else { return };
    let address = server.address();
    for request in [&b"hello"[..], "h\u{e9}llo\r\n".as_bytes(), b"\x00\x1b[2J\xff\\"] {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request).unwrap();
        assert_eq!(to_the_end(&client), b"ack\0");
        server.until("bytes: ").unwrap();
    }
    let said = server.stop(Signal::SIGINT).unwrap();
    assert_eq!((said.status.code(), said.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(said.for_snapshot(address, &COUNTS));
}

#[test]
fn an_echo_session_reads_well() {
    let Some(mut server) = talk(&[&["--reply", "echo"], &FITTING[..]].concat()) else { return };
    let address = server.address();
    let client = TcpStream::connect(address).unwrap();
    for message in ["one", "two", "three"] {
        echo(&client, message.as_bytes());
        server.until(message).unwrap();
    }
    drop(client);
    let said = server.stop(Signal::SIGINT).unwrap();
    assert_eq!((said.status.code(), said.stderr.as_str()), (Some(0), ""));
    insta::assert_snapshot!(said.for_snapshot(address, &COUNTS));
}

/// The command that it suggests works.
#[test]
fn what_it_says_to_try_works() {
    let nc = Command::new("nc").arg("-h").output();
    if !nc.is_ok_and(|nc| String::from_utf8_lossy(&nc.stderr).contains("OpenBSD netcat")) {
        return skipped(&test_name(), "Debian's netcat is not installed");
    }
    for (reply, answer) in [("ack", &b"ack\0"[..]), ("echo", b"hello\n")] {
        let Some(mut server) = talk(&["--reply", reply]) else { return };
        let line = server.until("try: ").unwrap();
        let command = line.trim_start_matches("try: ").split(" (").next().unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-c", command]).stdout(Stdio::piped());
        let output = output_within(shell, PATIENCE).expect("it ends by itself");
        assert_eq!(output.stdout, answer, "{command}");
        server.stop(Signal::SIGINT).unwrap();
    }
}

#[test]
fn quiet_leaves_the_address_and_the_summary() {
    let Some(server) = talk(&["--quiet"]) else { return };
    let address = server.address();
    let mut client = TcpStream::connect(address).unwrap();
    client.write_all(b"hello").unwrap();
    assert_eq!(to_the_end(&client), b"ack\0");
    let said = server.stop(Signal::SIGTERM).unwrap();
    assert_eq!(said.status.code(), Some(0));
    assert_eq!(
        said.for_snapshot(address, &COUNTS),
        "listening on ADDRESS\n\n\
         1 connection, 1 request, 5 bytes in, 4 bytes out\n\
         N system calls to submit and wait\n\
         0 resets, 0 timed out, 0 waits for a buffer\n"
    );
}

#[test]
fn json_lines_begin_with_the_address_and_end_with_the_summary() {
    let Some(server) = serve_aloud(&["--slots", "3", "--entries", "6"]) else { return };
    assert_eq!(server.listening()["slots"], 3);
    assert_eq!(server.listening()["sq_entries"], 8);
    assert_eq!(ask(&server, b"a\nb\xff"), b"ack\0");
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    let events: Vec<_> = stopped.events.iter().map(|event| &event["event"]).collect();
    assert_eq!(events, ["listening", "received", "stopping", "summary"]);
    assert_eq!(stopped.events[1]["bytes"], 4);
    assert_eq!(stopped.events[1]["text"], r"a\nb\xff");
    assert_eq!((stopped.count("bytes_in"), stopped.count("bytes_out")), (4, 4));
}

#[test]
fn a_reader_that_goes_away_does_not_end_it() {
    for arguments in [&[][..], &["--quiet"]] {
        let Some(mut server) = talk(arguments) else { return };
        server.hang_up();
        for _ in 0..3 {
            let mut client = TcpStream::connect(server.address()).unwrap();
            client.write_all(b"still there?").unwrap();
            assert_eq!(to_the_end(&client), b"ack\0");
        }
        let said = server.stop(Signal::SIGINT).unwrap();
        assert_eq!((said.status.code(), said.stderr.as_str()), (Some(0), ""));
    }
}

/// Its reader has stopped, as with Ctrl-S: neither a client nor the end waits for it. Some
/// megabytes are kept for a reader that comes back. The server counts the lines beyond, and drops
/// them.
#[test]
fn a_reader_that_stops_stops_nobody() {
    const CLIENTS: usize = 300;
    let serve_unread = || {
        drop(serve(&[])?);
        let server = Unread::start(with_json(day04(&[]))).unwrap();
        for _ in 0..CLIENTS {
            let mut client = server.connect().unwrap();
            // Six bytes for each of them are printed.
            client.write_all(&[1; 4096]).unwrap();
            assert_eq!(to_the_end(&client), b"ack\0");
        }
        Some(server)
    };
    let Some(server) = serve_unread() else { return };
    assert!(server.stop(Signal::SIGINT).unwrap().success());

    let Some(server) = serve_unread() else { return };
    let mut events = server.stop_and_read(Signal::SIGINT).unwrap();
    let summary = events.pop().unwrap();
    assert_eq!(summary["event"], "summary");
    let (notices, printed): (Vec<_>, Vec<_>) =
        events.iter().partition(|event| event["event"] == "lines dropped");
    let dropped: u64 = notices.iter().map(|event| event["lines"].as_u64().unwrap()).sum();
    assert!(dropped > 0, "all was printed: {events:?}");
    assert_eq!(summary["lines_dropped"], dropped);
    // A line for each request, and one that it stops.
    assert_eq!(printed.len() as u64 + dropped, CLIENTS as u64 + 1);
}

#[test]
fn options_that_make_no_sense_are_refused_with_exit_code_2() {
    for (arguments, named) in [
        (&["--no-such-option"][..], "--no-such-option"),
        (&["--slots", "0"], "--slots"),
        (&["--buffers", "0"], "--buffers"),
        (&["--buffers", "40000"], "--buffers"),
        (&["--buffer-size", "0"], "--buffer-size"),
        (&["--reply", "shout"], "--reply"),
        (&["--idle-timeout=-1"], "--idle-timeout"),
        (&["--idle-timeout", "soon"], "--idle-timeout"),
        (&["--max", "0"], "--max"),
        (&["--listen", "4242"], "--listen"),
        (&["extra"], "extra"),
    ] {
        let output = day04(&[]).args(arguments).output().unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {error}");
        assert!(error.contains(named), "{arguments:?}: {error}");
    }
}
