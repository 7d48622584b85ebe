//! `beyond/async_echo.rs`: an echo server whose clients may be silent, slow, or gone.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testkit::{
    PATIENCE, as_ordinary_user, io_uring_or_skip, limit_locked_memory, open_fds, skipped,
    wait_until,
};

struct Server {
    child: Child,
    address: String,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Server {
    /// Started with this silence, unless the kernel has no multishot ACCEPT.
    fn start(test: &str, mut command: Command, silence: u64) -> Option<Server> {
        command.args(["--listen", "127.0.0.1:0", "--silence", &silence.to_string()]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = lines.next().unwrap().unwrap();
        let address = line.strip_prefix("listening on ").unwrap().to_string();
        let mut server = Server { child, address, lines };
        if !server.echoes(b"a first line\n") {
            skipped(test, "no multishot ACCEPT here");
            return None;
        }
        Some(server)
    }

    fn client(&self) -> TcpStream {
        let client = TcpStream::connect(&self.address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    fn echoes(&mut self, bytes: &[u8]) -> bool {
        let mut client = self.client();
        client.write_all(bytes).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).is_ok() && answer == bytes
    }

    /// Stops it, as Ctrl-C does. What it printed.
    fn stop(mut self) -> Vec<String> {
        kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT).unwrap();
        let lines = self.lines.by_ref().map(Result::unwrap).collect();
        assert!(self.child.wait().unwrap().success());
        lines
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn program() -> Command {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("beyond/async_echo.rs");
    Command::new(testkit::example("async_echo", &source))
}

#[test]
fn a_silent_client_is_asked_and_let_go() {
    let test = "a_silent_client_is_asked_and_let_go";
    if !io_uring_or_skip(test) {
        return;
    }
    let Some(server) = Server::start(test, program(), 100) else { return };
    let mut client = server.client();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "still there?\n");

    // A client that answers is asked again, and none of its bytes is lost.
    let mut client = BufReader::new(server.client());
    for number in 0..5 {
        let mut line = String::new();
        client.read_line(&mut line).unwrap();
        assert_eq!(line, "still there?\n");
        writeln!(client.get_mut(), "yes {number}").unwrap();
        line.clear();
        client.read_line(&mut line).unwrap();
        assert_eq!(line, format!("yes {number}\n"));
    }
    let lines = server.stop();
    assert!(lines.contains(&"client 2: silent, let go".to_string()), "{lines:?}");
}

#[test]
fn many_clients_and_large_answers() {
    let test = "many_clients_and_large_answers";
    if !io_uring_or_skip(test) {
        return;
    }
    let Some(mut server) = Server::start(test, program(), 20_000) else { return };
    let before = open_fds(server.child.id()).unwrap();
    let clients: Vec<TcpStream> = (0..200).map(|_| server.client()).collect();
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
    let client = server.client();
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
    wait_until("its sockets to be closed", || open_fds(server.child.id()).unwrap() == before);
    assert!(server.echoes(b"and it goes on\n"));
    server.stop();
}

#[test]
fn it_stops_with_operations_in_flight() {
    let test = "it_stops_with_operations_in_flight";
    if !io_uring_or_skip(test) {
        return;
    }
    let Some(server) = Server::start(test, program(), 20_000) else { return };
    let clients: Vec<TcpStream> = (0..20).map(|_| server.client()).collect();
    for mut client in &clients {
        client.write_all(b"x").unwrap();
        client.read_exact(&mut [0]).unwrap();
    }
    server.stop();
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
    let mut command = program();
    limit_locked_memory(&mut command, 1 << 20);
    if !as_ordinary_user(&mut command) {
        return skipped(test, "another user may not run the program");
    }
    let Some(server) = Server::start(test, command, 20_000) else { return };
    server.stop();
}

#[test]
fn a_port_that_is_taken_is_named() {
    let test = "a_port_that_is_taken_is_named";
    if !io_uring_or_skip(test) {
        return;
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = program().args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.contains(&format!("listening on {address}: Address already in use")), "{error}");
}
