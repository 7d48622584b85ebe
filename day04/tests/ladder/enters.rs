//! What each rung costs: calls of `io_uring_enter(2)`, exactly, where that is possible.
//!
//! With one client who sends only when the server sleeps, every step of a conversation has a
//! turn of its own, however busy the machine is. Two runs of different length are compared, so that
//! the calls of start and end nearly cancel out.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::Duration;

use testkit::{Strace, skipped, wait_until};

use super::*;

/// Waits until the main thread sleeps, which it does in the wait for completions only.
pub fn until_asleep(server: &Server) {
    let stat = format!("/proc/{0}/task/{0}/stat", server.pid());
    wait_until("the server sleeps", || {
        let stat = fs::read_to_string(&stat).expect("it runs");
        stat.rsplit_once(") ").is_some_and(|(_, state)| state.starts_with('S'))
    });
}

/// How one client behaves.
#[derive(Clone, Copy, Debug)]
enum Pace {
    /// It sends when the server has gone to sleep.
    Asleep,
    /// It sends at once.
    Rush,
}

/// The calls that `requests` of one echo client take, start and end included.
fn echoes(rung: &str, arguments: &[&str], pace: Pace, requests: u32) -> Option<i64> {
    let server = serve(rung, &[arguments, &["--reply", "echo"]].concat())?;
    let client = connect(&server);
    converse(&server, &client, pace, requests);
    Some(stop(server).count("enters") as i64)
}

fn converse(server: &Server, mut client: &TcpStream, pace: Pace, requests: u32) {
    for _ in 0..requests {
        if matches!(pace, Pace::Asleep) {
            until_asleep(server);
        }
        client.write_all(b"a request").expect("it reads");
        let mut answer = [0; 9];
        client.read_exact(&mut answer).expect("an answer");
        assert_eq!(&answer, b"a request");
    }
    if matches!(pace, Pace::Asleep) {
        until_asleep(server);
    }
}

/// The number of calls that a stop takes varies a little: shutdowns run on a thread of the kernel,
/// and one call may reap several completions.
const NEARLY: i64 = 4;

/// Asserts that 50 requests took `counted` calls, `each` for each.
fn assert_fifty(counted: i64, each: i64, what: &str) {
    let surplus = counted - 50 * each;
    assert!(surplus.abs() <= NEARLY, "{what}: {counted} calls for 50, not {each} each");
}

#[test]
fn enters_a_request_fall_from_rung_to_rung() {
    let (asleep, rush) = (Pace::Asleep, Pace::Rush);
    // A minute: longer than any client takes for its next request.
    let spin = ["--spin", "60000000", "--sq-idle", "60000"];
    // ANCHOR: requests
    for (rung, arguments, pace, enters) in [
        ("rung1_journal", &[][..], asleep, 3), // submit the send, submit the receive, wait
        ("rung2_one_submit", &[], asleep, 2),  // the send completes at once, the receive later
        ("rung3_multishot", &[], asleep, 2),
        ("rung4_linked", &[], asleep, 1),
        ("rung4_linked", &[], rush, 1),
        ("rung6_min_wait", &[], asleep, 1),
        ("rung7_spin", &["--spin", "0"], asleep, 2), // submit, and wait
        ("rung7_spin", &spin[..2], rush, 1),         // submit; the spin finds the answer
        ("rung8_sqpoll", &["--spin", "0"], asleep, 1), // wait
        ("rung8_sqpoll", &spin, rush, 0),
        ("rung9_threads", &["--threads", "1"], asleep, 1),
    ] {
        // ANCHOR_END: requests
        let Some(few) = echoes(rung, arguments, pace, 10) else { return };
        let Some(many) = echoes(rung, arguments, pace, 60) else { return };
        assert_fifty(many - few, enters, &format!("{rung} {arguments:?}, {pace:?}"));
    }
}

/// The calls that `clients` take, one after the other, start and end included.
fn acks(rung: &str, clients: u32) -> Option<i64> {
    let server = serve(rung, &[])?;
    for _ in 0..clients {
        until_asleep(&server);
        let mut client = connect(&server);
        until_asleep(&server);
        client.write_all(b"a request").expect("it reads");
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).expect("an answer");
        assert_eq!(answer, b"ack\0");
    }
    Some(stop(server).count("enters") as i64)
}

#[test]
fn enters_a_connection_fall_from_rung_to_rung() {
    // What the end of a connection takes depends on when its shutdown is done, for that runs
    // on a thread of the kernel. The chain alone is exact.
    let mut before = i64::MAX;
    for (rung, at_most) in [("rung1_journal", 6), ("rung2_one_submit", 4), ("rung4_linked", 3)] {
        let (Some(few), Some(many)) = (acks(rung, 10), acks(rung, 60)) else { return };
        assert!(many - few <= 50 * at_most + NEARLY, "{rung}: {} for 50", many - few);
        assert!(many < before, "{rung}: {many}, and the rung before it {before}");
        before = many;
    }
    let (Some(few), Some(many)) = (acks(CHAIN, 10), acks(CHAIN, 60)) else { return };
    assert_fifty(many - few, 1, CHAIN);
}

#[test]
fn strace_counts_as_the_rungs_do() {
    if !Strace::works() {
        return skipped("strace_counts_as_the_rungs_do", "no strace here that works");
    }
    for rung in ECHO {
        let arguments = [&FIXED[..], &["--reply", "echo"]].concat();
        let (command, strace) = Strace::wrap(example(rung).get_program(), &arguments);
        let Some(server) = start_or_skip(rung, command) else { return };
        let client = connect(&server);
        converse(&server, &client, Pace::Rush, 30);
        let counted = stop(server).count("enters");
        assert_eq!(strace.calls().expect("a record").len() as u64, counted, "{rung}");
    }
}

#[test]
fn a_rung_without_work_makes_no_calls() {
    for rung in ECHO {
        let Some(server) = serve(rung, &["--reply", "echo"]) else { return };
        let client = connect(&server);
        converse(&server, &client, Pace::Asleep, 1);
        // No condition shows that nothing happens.
        thread::sleep(Duration::from_millis(50));
        let enters = stop(server).count("enters");
        assert!(enters <= 20, "{rung}: {enters} calls for one request");
    }
}

/// Rung 6: two clients who send one after the other are served in one turn, and one who is
/// alone is not kept waiting forever.
#[test]
fn min_wait_gathers_the_clients_of_a_moment() {
    // Five seconds: longer than the two of them take, and not as long as their patience.
    let gathering = ["--reply", "echo", "--min-wait", "5000000"];
    let Some(server) = serve("rung6_min_wait", &gathering) else { return };
    if server.listening()["min_wait"].is_null() {
        return skipped("min_wait_gathers_the_clients_of_a_moment", "it needs Linux 6.12");
    }
    let rounds = 20;
    let clients = [connect(&server), connect(&server)];
    for _ in 0..rounds {
        for mut client in &clients {
            until_asleep(&server); // the second one finds it asleep although the first sent
            client.write_all(b"now").expect("it reads");
        }
        for mut client in &clients {
            let mut answer = [0; 3];
            client.read_exact(&mut answer).expect("an answer");
            assert_eq!(&answer, b"now");
        }
    }
    echo(&clients[0], b"alone");
    drop(clients);
    let stopped = stop(server);
    assert_eq!(stopped.count("requests"), 2 * rounds + 1);
    let enters = stopped.count("enters");
    assert!((rounds..rounds + 12).contains(&enters), "{enters} for {rounds} rounds of two");
}

/// Rung 9: the kernel spreads the clients, and each thread has a ring of its own.
#[test]
fn every_thread_gets_clients() {
    let Some(server) = serve("rung9_threads", &["--reply", "echo", "--threads", "2"]) else {
        return;
    };
    // A fair hash sends all 64 clients to one thread once in 2^63 runs.
    let clients: Vec<_> = (0..64).map(|_| connect(&server)).collect();
    clients.iter().for_each(|client| echo(client, b"hello"));
    let stopped = stop(server);
    let threads = stopped.summary["threads"].as_array().expect("a list").clone();
    let count = |name: &str| {
        threads.iter().map(|thread| thread[name].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    assert_eq!(threads.len(), 2);
    assert!(count("connections").iter().all(|&clients| clients > 0), "{threads:?}");
    assert_eq!(count("connections").iter().sum::<u64>(), 64);
    assert_eq!(count("enters").iter().sum::<u64>(), stopped.count("enters"));
}
