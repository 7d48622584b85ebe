//! `beyond/async_echo.rs`: an echo server whose clients may be silent, slow, or gone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;

use nix::sys::signal::Signal;
use testkit::{
    Talking, example, io_uring_or_skip, open_fds, ordinary_user_or_skip, skipped, wait_until,
};

/// Starts it with this `--silence`, unless the kernel has no multishot ACCEPT.
fn start(test: &str, mut command: Command, silence: u64) -> Option<Talking> {
    command.args(["--listen", "127.0.0.1:0", "--silence", &silence.to_string()]);
    let server = Talking::start(command).unwrap();
    if !echoes(&server, b"a first line\n") {
        skipped(test, "no multishot ACCEPT here");
        return None;
    }
    Some(server)
}

fn echoes(server: &Talking, bytes: &[u8]) -> bool {
    let mut client = server.connect().unwrap();
    client.write_all(bytes).unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    client.read_to_end(&mut answer).is_ok() && answer == bytes
}

/// Stops it, as Ctrl-C does, and returns what it printed.
fn stop(server: Talking) -> String {
    let said = server.stop(Signal::SIGINT).unwrap();
    assert!(said.status.success(), "{said:?}");
    said.stdout
}

#[test]
fn a_silent_client_is_asked_and_let_go() {
    let test = "a_silent_client_is_asked_and_let_go";
    if !io_uring_or_skip(test) {
        return;
    }
    let Some(server) = start(test, example("async_echo"), 100) else { return };
    let mut client = server.connect().unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "still there?\n");

    // A client that answers is asked again, and none of its bytes is lost.
    let mut client = BufReader::new(server.connect().unwrap());
    for number in 0..5 {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        assert_eq!(line, "still there?\n");
        writeln!(client.get_mut(), "yes {number}").unwrap();
        line.clear();
        client.read_line(&mut line).unwrap();
        assert_eq!(line, format!("yes {number}\n"));
    }
    let said = stop(server);
    assert!(said.lines().any(|line| line == "client 2: silent, let go"), "{said}");
}

#[test]
fn many_clients_and_large_answers() {
    let test = "many_clients_and_large_answers";
    if !io_uring_or_skip(test) {
        return;
    }
    let Some(server) = start(test, example("async_echo"), 20_000) else { return };
    let before = open_fds(server.pid()).unwrap();
    let clients: Vec<TcpStream> = (0..200).map(|_| server.connect().unwrap()).collect();
    for (number, mut client) in clients.iter().enumerate() {
        writeln!(client, "client {number}").unwrap();
    }
    for (number, client) in clients.iter().enumerate() {
        let mut line = String::new();
        BufReader::new(client).read_line(&mut line).unwrap();
        assert_eq!(line, format!("client {number}\n"));
    }
    drop(clients);
    let large = vec![b'x'; 4 << 20];
    let client = server.connect().unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            (&client).write_all(&large).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
        });
        let mut answer = Vec::new();
        (&client).read_to_end(&mut answer).unwrap();
        assert!(answer == large);
    });
    drop(client);
    wait_until("its sockets to be closed", || open_fds(server.pid()).unwrap() == before);
    assert!(echoes(&server, b"and it goes on\n"));
    stop(server);
}

#[test]
fn it_stops_with_operations_in_flight() {
    let test = "it_stops_with_operations_in_flight";
    if !io_uring_or_skip(test) {
        return;
    }
    let Some(server) = start(test, example("async_echo"), 20_000) else { return };
    let clients: Vec<TcpStream> = (0..20).map(|_| server.connect().unwrap()).collect();
    for mut client in &clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    stop(server);
    for mut client in clients {
        assert!(client.read(&mut [0]).is_ok_and(|end| end == 0));
    }
}

#[test]
fn an_ordinary_user_with_little_memory_can_run_it() {
    let test = "an_ordinary_user_with_little_memory_can_run_it";
    if !io_uring_or_skip(test) {
        return;
    }
    let mut command = example("async_echo");
    if !ordinary_user_or_skip(test, &mut command, 1 << 20) {
        return;
    }
    let Some(server) = start(test, command, 20_000) else { return };
    stop(server);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let test = "a_port_that_is_taken_is_named";
    if !io_uring_or_skip(test) {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = example("async_echo").args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("listening on {address}: Address already in use")), "{error}");
}
