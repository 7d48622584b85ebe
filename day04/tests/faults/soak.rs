//! Connection after connection: afterwards the server is as it was.

use std::fs;
use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use testkit::{
    PATIENCE, end_of_file, holds_within, open_fds, reset, resident_kib, ring_operations, ring_slots,
};

use super::dice::Dice;
use super::*;

/// Connections of each server.
const SHORT: u64 = 600;
const LONG: u64 = 200_000;
/// Those before the server is looked at for the first time: it has touched all its memory
/// then.
const WARM_UP: u64 = 300;
/// Clients at a time, besides those that stay.
const THREADS: u64 = 4;
/// Clients that stay from the beginning to the end.
const RESIDENTS: usize = 3;

#[test]
fn soak_with_acks() {
    soak("ack");
}

#[test]
fn soak_with_echoes() {
    soak("echo");
}

fn soak(reply: &str) {
    let long = number_from("FAULTS_LONG").is_some_and(|number| number > 0);
    let connections = if long { LONG } else { SHORT };
    for ring in RINGS {
        // So few buffers are all in use before the first look.
        let arguments = ["--reply", reply, "--idle-timeout", "0", "--buffers", "256"];
        let Some(server) = serve(&[&arguments, ring].concat()) else { return };
        let residents: Vec<_> = (0..RESIDENTS).map(|_| connect(&server)).collect();
        converse(&connect(&server), reply, &bytes(0, 2 << 20));
        come_and_go(&server, reply, 0..WARM_UP);
        let before = Footprint::at_rest(&server);

        let start = Instant::now();
        come_and_go(&server, reply, WARM_UP..WARM_UP + connections);
        let took = start.elapsed();
        let after = Footprint::at_rest(&server);
        if long {
            eprintln!(
                "{reply} {ring:?}: {connections} connections in {took:.0?}\n  before {before:?}\n  \
                 after  {after:?}"
            );
        }
        after.is_like(&before);

        for (key, resident) in (0..).zip(&residents) {
            converse(resident, reply, &bytes(key, 1000));
        }
        drop(residents);
        let stopped = at_rest(server);
        let came = connections + WARM_UP + RESIDENTS as u64 + 1;
        assert_eq!(stopped.count("connections"), came, "{ring:?}");
        assert_eq!(stopped.count("timed_out"), 0, "{ring:?}");
    }
}

/// A connection. The ports of this machine may all be taken for a moment, by connections
/// that have ended (`TIME_WAIT`).
fn connect(server: &Server) -> TcpStream {
    let mut connection = None;
    holds_within(PATIENCE, || {
        connection = server.connect().ok();
        connection.is_some()
    });
    connection.expect("a connection")
}

/// Clients that behave in all kinds of ways, a few at a time. What each does follows from its
/// number.
fn come_and_go(server: &Server, reply: &str, numbers: Range<u64>) {
    let next = AtomicU64::new(numbers.start);
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(|| {
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= numbers.end {
                        break;
                    }
                    visit(connect(server), reply, number);
                }
            });
        }
    });
}

fn visit(client: TcpStream, reply: &str, number: u64) {
    let mut dice = Dice::new(number);
    let way = dice.below(12);
    let length = if way < 5 { 1 + dice.below(200) } else { 1 + dice.below(20_000) };
    let message = bytes(number, length);
    let send = |mut client: &TcpStream| client.write_all(&message).expect("the server reads");
    match way {
        // All of it fits between us, so that it can be sent before any of it is read.
        0..=6 => {
            send(&client);
            client.shutdown(Shutdown::Write).expect("a half-close");
            assert!(to_the_end(&client) == due(reply, &message), "client {number}");
        }
        7 => drop(client),
        8 => reset(client),
        9 => {
            client.shutdown(Shutdown::Write).expect("a half-close");
            end_of_file(&client);
        }
        10 => {
            send(&client);
            reset(client);
        }
        _ => {
            send(&client);
            let mut first = [0];
            (&client).read_exact(&mut first).expect("a first byte");
            assert_eq!(first[0], due(reply, &message)[0], "client {number}");
        }
    }
}

/// What a server uses.
#[derive(Debug)]
struct Footprint {
    slots: usize,
    descriptors: usize,
    /// The operations that wait in its ring, by their codes.
    operations: Vec<u32>,
    /// Sockets of its port that are no `TIME_WAIT`, which no program holds.
    sockets: usize,
    resident_kib: u64,
}

impl Footprint {
    /// Of a server whose residents are silent and whose other clients have gone.
    fn at_rest(server: &Server) -> Footprint {
        let mut footprint = Footprint::of(server).expect("a server that runs");
        let mut steady_since = Instant::now();
        // The last clients are gone when nothing has changed for a while.
        holds_within(PATIENCE, || {
            let now = Footprint::of(server).expect("a server that runs");
            if !now.holds_the_same(&footprint) {
                steady_since = Instant::now();
            }
            footprint = now;
            let at_rest = footprint.slots == RESIDENTS && footprint.sockets == RESIDENTS + 1;
            at_rest && steady_since.elapsed() > Duration::from_millis(200)
        });
        footprint
    }

    fn of(server: &Server) -> io::Result<Footprint> {
        let pid = server.pid();
        Ok(Footprint {
            slots: ring_slots(pid)?.len(),
            descriptors: open_fds(pid)?,
            operations: ring_operations(pid)?,
            sockets: sockets_of(server.address().port())?,
            resident_kib: resident_kib(pid)?,
        })
    }

    fn holds_the_same(&self, other: &Footprint) -> bool {
        let all = |it: &Footprint| (it.slots, it.descriptors, it.operations.clone(), it.sockets);
        all(self) == all(other)
    }

    fn is_like(&self, before: &Footprint) {
        assert_eq!((self.slots, self.sockets), (RESIDENTS, RESIDENTS + 1), "{self:?}");
        assert!(self.holds_the_same(before), "{self:?}\nbefore: {before:?}");
        let most = before.resident_kib + before.resident_kib / 5;
        assert!(self.resident_kib <= most, "{self:?}\nbefore: {before:?}");
    }
}

/// Sockets whose own port that is, `TIME_WAIT` left out (`/proc/net/tcp`, proc_net(5)).
fn sockets_of(port: u16) -> io::Result<usize> {
    const TIME_WAIT: &str = "06";
    let table = fs::read_to_string("/proc/net/tcp")?;
    let port = format!(":{port:04X}");
    let of_port = |line: &&str| {
        let mut words = line.split_whitespace().skip(1);
        let (own, state) = (words.next().unwrap_or(""), words.nth(1).unwrap_or(""));
        own.ends_with(&port) && state != TIME_WAIT
    };
    Ok(table.lines().skip(1).filter(of_port).count())
}
