//! How the rungs end, and what they say then.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use testkit::{PATIENCE, Talking, block_io_uring, io_uring_or_skip, output_within};
use testkit::{end_of_file, wait_until};

use super::*;

#[test]
fn a_stop_under_load_ends_every_rung_well() {
    for (rung, signal) in all().zip([Signal::SIGINT, Signal::SIGTERM].into_iter().cycle()) {
        let Some(server) = serve(rung, &[]) else { return };
        let (over, served) = (AtomicBool::new(false), AtomicU64::new(0));
        let address = server.address();
        let stopped = thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| {
                    // Errors are what a stopping server's clients see.
                    while !over.load(Ordering::Relaxed) {
                        let Ok(mut client) = TcpStream::connect(address) else { continue };
                        let _ = client.write_all(b"hello");
                        let read = client.read(&mut [0; 64]).unwrap_or(0);
                        served.fetch_add(u64::from(read > 0), Ordering::Relaxed);
                    }
                });
            }
            wait_until("clients are served", || served.load(Ordering::Relaxed) > 20);
            let stopped = server.stop(signal);
            over.store(true, Ordering::Relaxed);
            stopped
        });
        let stopped = stopped.unwrap_or_else(|error| panic!("{rung}: {error:#}")).well();
        assert!(stopped.count("connections") > 20, "{rung}");
    }
}

#[test]
fn clients_that_stay_see_their_end_at_a_stop() {
    for rung in ECHO {
        let Some(server) = serve(rung, &["--reply", "echo"]) else { return };
        let clients = [(); 3].map(|()| connect(&server));
        clients.iter().for_each(|client| echo(client, b"hello"));
        stop(server);
        clients.iter().for_each(end_of_file);
    }
    // The chain checks which clients are still there. One is, and the server disconnects it.
    let Some(server) = serve(CHAIN, &[]) else { return };
    let (mut client, mut other) = (connect(&server), connect(&server));
    other.write_all(b"hello").expect("it reads");
    other.read_exact(&mut [0; 4]).expect("an answer, though its end may wait");
    stop(server);
    match client.read_to_end(&mut Vec::new()) {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset),
    }
}

#[test]
fn after_the_last_connection_of_max_everybody_finishes() {
    for rung in ECHO {
        let Some(server) = serve(rung, &["--reply", "echo", "--max", "3"]) else { return };
        let clients = [(); 3].map(|()| connect(&server));
        // The server answers all of them after the third came, to whichever thread it came.
        clients.iter().for_each(|client| echo(client, b"hello"));
        for client in &clients {
            echo(client, b"hello again");
            client.shutdown(Shutdown::Write).expect("half-close");
            end_of_file(client);
        }
        let stopped = server.wait().unwrap_or_else(|error| panic!("{rung}: {error:#}")).well();
        assert_eq!(stopped.count("connections"), 3, "{rung}");
        assert_eq!(stopped.count("bytes_out"), 3 * 16, "{rung}");
    }
    let Some(server) = serve(CHAIN, &["--max", "3"]) else { return };
    let clients = [(); 3].map(|()| connect(&server));
    for mut client in clients {
        client.write_all(b"hello").expect("it reads");
        let mut answer = [0; 4];
        client.read_exact(&mut answer).expect("an answer");
    }
    assert_eq!(server.wait().expect("it ends").well().count("requests"), 3);
}

#[test]
fn a_rung_talks_to_people_and_its_reader_may_leave() {
    for rung in all() {
        if !io_uring_or_skip("a_rung_talks_to_people_and_its_reader_may_leave") {
            return;
        }
        let mut command = example(rung);
        command.args(["--listen", "127.0.0.1:0", "--max", "1"]);
        let Ok(mut server) = Talking::start(command) else {
            continue; // too old a kernel, which the other tests have said
        };
        server.until("Ctrl-C stops it").expect("what to type");
        server.hang_up();
        drop(TcpStream::connect(server.address()).expect("it listens"));
        let said = server.stop(Signal::SIGINT).expect("it stops");
        assert!(said.status.success(), "{rung}: {:?}", said.status);
        assert!(said.stdout.starts_with(&format!("rung {} · ", &rung[4..5])), "{}", said.stdout);
        assert_eq!(said.stderr, "", "{rung}");
    }
}

#[test]
fn without_io_uring_a_rung_says_why_and_what_to_type() {
    for rung in all() {
        let mut command = example(rung);
        command.args(FIXED).env("RUST_BACKTRACE", "1");
        block_io_uring(&mut command, nix::libc::EPERM);
        let output = output_within(command, PATIENCE).expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{rung}: {stderr}");
        assert!(output.stdout.is_empty(), "{rung} says that it listens");
        assert!(stderr.starts_with(&format!("{rung}: ")), "{stderr}");
        assert!(stderr.contains("why: ") && stderr.contains("try: "), "{stderr}");
    }
}
