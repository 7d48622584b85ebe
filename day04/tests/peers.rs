//! The servers and the client of `cargo xtask bench` do what they are compared for.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use clap::ValueEnum;
use common::listener::Listener;
use testkit::{PATIENCE, io_uring_or_skip, wait_until};

use crate::servers::{Kind, Reply};

#[path = "../benches/peers/load/mod.rs"]
mod load;
#[path = "../benches/peers/servers/mod.rs"]
mod servers;

/// Serves in a thread, which ends with this process.
fn serve(kind: Kind, reply: Reply) -> SocketAddr {
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let address = listener.address();
    thread::spawn(move || kind.serve(TcpListener::from(listener), reply));
    address
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn to_the_end(mut stream: TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    bytes
}

#[test]
fn each_peer_acknowledges_and_closes() {
    for kind in Kind::value_variants() {
        let address = serve(*kind, Reply::Ack);
        for request in [b"?".as_slice(), &[7; 64]] {
            let mut stream = connect(address);
            stream.write_all(request).unwrap();
            assert_eq!(to_the_end(stream), b"ack\0", "{kind:?}");
        }
        let silent = connect(address);
        silent.shutdown(Shutdown::Write).unwrap();
        assert_eq!(to_the_end(silent), b"", "{kind:?}: an end is not a request");
    }
}

/// A server that closed at once would reset the connection while the client still sends.
#[test]
fn a_client_that_is_still_sending_gets_the_answer() {
    for kind in Kind::value_variants() {
        let mut stream = connect(serve(*kind, Reply::Ack));
        stream.write_all(b"?").unwrap();
        let mut answer = [0; 4];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ack\0", "{kind:?}");
        assert_eq!(stream.read(&mut answer).unwrap(), 0, "{kind:?} ends its side");
        // More than the sockets' buffers take, so the server must read it.
        stream.write_all(&vec![7; 16 << 20]).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(to_the_end(stream), b"", "{kind:?}");
    }
}

#[test]
fn a_client_that_never_ends_is_closed_in_the_end() {
    for kind in Kind::value_variants() {
        let mut stream = connect(serve(*kind, Reply::Ack));
        wait_until("writing to it fails", || {
            thread::sleep(Duration::from_millis(20));
            stream.write_all(b"?").is_err()
        });
    }
}

#[test]
fn each_peer_echoes_every_byte_until_the_client_ends() {
    for kind in Kind::value_variants() {
        let address = serve(*kind, Reply::Echo);
        let mut other = connect(address);
        other.write_all(b"another").unwrap();
        // More than the sockets' buffers hold.
        let message: Vec<u8> = (0..=250).cycle().take(12_000_000).collect();
        let mut stream = connect(address);
        let mut writer = stream.try_clone().unwrap();
        let sent = message.clone();
        let writing = thread::spawn(move || {
            writer.write_all(&sent).unwrap();
            writer.shutdown(Shutdown::Write).unwrap();
        });
        thread::sleep(Duration::from_millis(50));
        let mut first = [0; 3];
        stream.read_exact(&mut first).unwrap();
        let rest = to_the_end(stream);
        writing.join().unwrap();
        assert!(first == message[..3] && rest == message[3..], "{kind:?}: other bytes");
        other.shutdown(Shutdown::Write).unwrap();
        assert_eq!(to_the_end(other), b"another", "{kind:?}");
    }
}

fn options(address: SocketAddr, reply: Reply) -> load::Options {
    load::Options {
        address,
        pid: std::process::id(),
        reply,
        connections: 3,
        reconnect: false,
        idle: 0,
        size: 64,
        warm_up: 5,
        time: 20,
        cpus: vec![0],
        count_calls: false,
    }
}

#[test]
fn the_client_measures_every_conversation() {
    if !io_uring_or_skip("the_client_measures_every_conversation") {
        return;
    }
    for (reply, reconnect) in [(Reply::Ack, false), (Reply::Echo, false), (Reply::Echo, true)] {
        let address = serve(Kind::Epoll, reply);
        let outcome = load::run(&load::Options { reconnect, ..options(address, reply) }).unwrap();
        assert!(outcome.requests > 0 && outcome.seconds >= 0.02, "{outcome:?}");
        assert!(outcome.p50 > 0.0 && outcome.p50 <= outcome.p99, "{outcome:?}");
        assert!(outcome.server_cpu > 0.0, "{outcome:?}");
    }
    let address = serve(Kind::Epoll, Reply::Echo);
    let idle = load::Options { idle: 20, size: 4096, ..options(address, Reply::Echo) };
    assert!(load::run(&idle).unwrap().memory_idle > 0);
}

/// The client notices a wrong answer.
#[test]
fn the_client_compares_the_answers() {
    if !io_uring_or_skip("the_client_compares_the_answers") {
        return;
    }
    let wrong = |reply, reconnect| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            while let Ok((mut stream, _)) = listener.accept() {
                thread::spawn(move || {
                    let mut request = [0; 64];
                    if stream.read_exact(&mut request).is_err() {
                        return;
                    }
                    request[40] ^= 1;
                    let answer = if reply == Reply::Ack { b"nak\0" } else { &request[..] };
                    let _ = stream.write_all(answer);
                });
            }
        });
        let asked = load::Options { reconnect, ..options(address, reply) };
        format!("{:#}", load::run(&asked).unwrap_err())
    };
    let ack = wrong(Reply::Ack, false);
    assert!(ack.contains("the answer is 4 bytes"), "{ack}");
    let echo = wrong(Reply::Echo, false);
    assert!(echo.contains("got other bytes than it sent"), "{echo}");
    let once = wrong(Reply::Echo, true);
    assert!(once.contains("the answer is 64 bytes"), "{once}");
}
