//! `beyond/fetch_in_time.rs`: the page comes from the server that delivers it first, each deadline
//! holds, and a lane is used again only when all that was in flight in it has completed.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output};
use std::thread::{self, sleep};
use std::time::Duration;

use nix::sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrIn};
use testkit::{
    PATIENCE, example, io_uring_or_skip, limit_locked_memory, ordinary_user_or_skip, output_within,
};

/// A server that does the same for each client; its address as the program takes it. The thread
/// ends with the test.
fn server(serve: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mirror = format!("{}/page", listener.local_addr().unwrap());
    thread::spawn(move || listener.incoming().for_each(|client| serve(client.unwrap())));
    mirror
}

/// Answers once the request has come.
fn answer(mut client: TcpStream, reply: &[u8]) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        client.read_exact(&mut byte).unwrap();
        request.push(byte[0]);
    }
    assert!(request.starts_with(b"GET /page HTTP/1.0\r\n"));
    // The client may have gone away.
    let _ = client.write_all(reply);
}

fn good(client: TcpStream) {
    answer(client, b"HTTP/1.0 200 OK\r\nContent-Length: 6\r\n\r\nhello\n");
}

fn silent(client: TcpStream) {
    thread::spawn(move || {
        sleep(PATIENCE);
        drop(client);
    });
}

/// A byte now and then, for ever.
fn trickles(mut client: TcpStream) {
    thread::spawn(move || {
        let _ = client.write_all(b"HTTP/1.0 200 OK\r\n\r\n");
        while client.write_all(b"x").is_ok() {
            sleep(Duration::from_millis(20));
        }
    });
}

/// A listener whose queue is full, so that nothing answers a connect.
fn full() -> (String, impl Drop) {
    let listener =
        socket::socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).unwrap();
    let any = SockaddrIn::new(127, 0, 0, 1, 0);
    socket::bind(std::os::fd::AsRawFd::as_raw_fd(&listener), &any).unwrap();
    // SAFETY: listen(2) touches no memory.
    assert_eq!(unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) }, 0);
    let listener = TcpListener::from(listener);
    let address = listener.local_addr().unwrap();
    let fills_it = TcpStream::connect(address).unwrap();
    struct Held(#[expect(dead_code)] (TcpListener, TcpStream));
    impl Drop for Held {
        fn drop(&mut self) {}
    }
    (format!("{address}/page"), Held((listener, fills_it)))
}

fn program(arguments: &[&str]) -> Command {
    let mut command = example("fetch_in_time");
    command.args(arguments);
    command
}

fn run(command: Command) -> (Output, String) {
    let output = output_within(command, PATIENCE).unwrap();
    let said = String::from_utf8(output.stderr.clone()).unwrap();
    (output, said)
}

#[test]
fn each_mirror_has_its_deadline_and_the_last_one_delivers() {
    if !io_uring_or_skip("each_mirror_has_its_deadline_and_the_last_one_delivers") {
        return;
    }
    let not_found = server(|client| answer(client, b"HTTP/1.0 404 Not Found\r\n\r\n"));
    let cut = server(|client| answer(client, b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n123"));
    let ((full, _held), silent, trickles) = (full(), server(silent), server(trickles));
    let good = server(good);
    let limits = ["--connect", "300", "--first", "400", "--whole", "1000"];
    let mirrors = [&*full, &silent, &trickles, &not_found, &cut, "127.0.0.1:1/page", &good];
    let mut command = program(&[&limits[..], &mirrors].concat());
    limit_locked_memory(&mut command, 64 << 10);
    let (output, said) = run(command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{said}");
    assert!(output.status.success());
    for (mirror, end) in [
        (&*full, "no connection within 300 ms"),
        (&silent, "no byte within 400 ms"),
        (&not_found, "the reply is \"http/1.0 404 not found\""),
        (&cut, "3 of 9 bytes"),
        ("127.0.0.1:1/page", "Connection refused (os error 111)"),
        (&good, "44 bytes, the first whole page"),
    ] {
        let line = format!("{mirror}: {end}");
        assert!(said.lines().any(|found| found == line), "{line:?} is missing:\n{said}");
    }
    // It was still trickling when another mirror delivered the page, or its own time was over.
    let trickled = said.lines().find(|line| line.starts_with(&*trickles)).unwrap();
    let ends = [" bytes and no end within 1000 ms", ": cancelled: another mirror was first"];
    assert!(ends.iter().any(|end| trickled.ends_with(end)), "{trickled}");
    assert_eq!(said.lines().count(), mirrors.len(), "each mirror is reported once:\n{said}");
}

#[test]
fn the_slower_mirror_is_cancelled_and_a_large_page_is_whole() {
    let test = "the_slower_mirror_is_cancelled_and_a_large_page_is_whole";
    if !io_uring_or_skip(test) {
        return;
    }
    let page = |client| answer(client, &[b"HTTP/1.0 200 OK\r\n\r\n", &[7; 3 << 20][..]].concat());
    let (silent, large) = (server(silent), server(page));
    let mut command = program(&["--first", "10000", "--whole", "15000", &silent, &large]);
    if !ordinary_user_or_skip(test, &mut command, 8 << 20) {
        return;
    }
    let (output, said) = run(command);
    assert!(output.stdout == vec![7; 3 << 20], "{} bytes came: {said}", output.stdout.len());
    assert!(said.contains(&format!("{silent}: cancelled: another mirror was first\n")), "{said}");
}

#[test]
fn without_a_page_the_exit_status_is_1() {
    if !io_uring_or_skip("without_a_page_the_exit_status_is_1") {
        return;
    }
    let (output, said) = run(program(&["127.0.0.1:1/page"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.ends_with("no mirror delivered the page in time\n"), "{said}");
    let (output, said) = run(program(&["nowhere"]));
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("nowhere cannot be found: a mirror is HOST:PORT/PATH"), "{said}");
    assert_eq!(run(program(&[])).0.status.code(), Some(2));
}
