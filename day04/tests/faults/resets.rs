//! Resets at every stage of a connection. A neighbour that does not reset is served to the last
//! byte, and nothing of the reset client is left.

use std::time::Duration;

use testkit::{reset, ring_slots, wait_until};

use super::hog::Hog;
use super::*;

/// A client that has sent something, which the server has not seen before it is resumed.
fn sent(server: &Server, message: &[u8]) -> TcpStream {
    let mut client = server.connect().unwrap();
    client.write_all(message).unwrap();
    client
}

/// Waits until the server has got everything that was sent to it: then it sleeps.
fn is_in(server: &Server, clients: usize) {
    wait_until("they are in", || ring_slots(server.pid()).unwrap().len() >= clients);
}

/// What a client does before it is reset. The neighbour, which has a slot already, takes no part.
type Stage = fn(&Server) -> TcpStream;

const STAGES: [(&str, Stage); 9] = [
    ("before its accept", |server| {
        server.pause();
        server.connect().unwrap()
    }),
    ("before its accept, with a request", |server| {
        server.pause();
        sent(server, &[b'x'; 5000])
    }),
    ("before a request", |server| {
        let client = server.connect().unwrap();
        is_in(server, 2);
        client
    }),
    ("in the middle of a request", |server| {
        let client = sent(server, &[b'x'; 100]);
        is_in(server, 2);
        client
    }),
    ("with a request that was not read", |server| {
        let client = server.connect().unwrap();
        is_in(server, 2);
        server.pause();
        (&client).write_all(&[b'x'; 60_000]).unwrap();
        client
    }),
    ("while a reply is sent that it does not read", |server| {
        let client = server.connect().unwrap();
        client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
        // More than fits between us, for the echo; the ack is sent after the first bytes.
        let _ = (&client).write_all(&vec![b'x'; 16 << 20]);
        client
    }),
    ("with half of its reply read", |server| {
        let client = sent(server, b"hello");
        (&client).read_exact(&mut [0; 2]).unwrap();
        client
    }),
    ("after its reply", |server| {
        let client = sent(server, b"tell");
        (&client).read_exact(&mut [0; 4]).unwrap();
        client
    }),
    ("after its own end", |server| {
        let client = sent(server, b"hello");
        client.shutdown(Shutdown::Write).unwrap();
        client
    }),
];

#[test]
fn a_reset_at_any_stage_is_nobody_elses_business() {
    on_each_ring(BOTH, &[], |server, reply| {
        for (key, (stage, prepare)) in (0..).zip(STAGES) {
            // In an echo the neighbour talks before and after the reset. For an ack it must be
            // silent.
            let neighbour = server.connect().unwrap();
            is_in(server, 1);
            let message = bytes(key, 10_000);
            let (before, after) = message.split_at(if reply == "echo" { 4000 } else { 0 });
            (&neighbour).write_all(before).unwrap();
            let mut back = vec![0; before.len()];
            (&neighbour).read_exact(&mut back).unwrap();
            assert!(back == before, "{stage}");
            reset(prepare(server));
            server.resume();
            converse(&neighbour, reply, after);
            drop(neighbour);
            server.wait_until_empty();
        }
    });
}

/// All at once: whatever the server was about to do for them meets a reset.
#[test]
fn a_burst_of_resets_leaves_nothing() {
    on_each_ring(BOTH, &["--slots", "20", "--buffers", "4"], |server, reply| {
        for round in 0..3 {
            server.pause();
            let mut clients: Vec<_> = (0..60).map(|_| sent(server, &bytes(round, 3000))).collect();
            clients.drain(..30).for_each(reset);
            server.resume();
            // These are read or parked, answered or waiting for a slot, by now.
            std::thread::sleep(Duration::from_millis(round * 3));
            clients.drain(..20).for_each(reset);
            for client in clients {
                client.shutdown(Shutdown::Write).unwrap();
                assert!(to_the_end(&client) == due(reply, &bytes(round, 3000)), "{reply}");
            }
        }
    });
}

/// With its reply half sent, and its end following: the receive and the send both fail.
#[test]
fn a_half_close_and_then_a_reset_leave_nothing() {
    on_each_ring(ECHO, &["--buffers", "4"], |server, _| {
        for length in [1, 4096, 300_000] {
            let client = server.connect().unwrap();
            client.set_write_timeout(Some(Duration::from_millis(100))).unwrap();
            let _ = (&client).write_all(&bytes(7, length));
            client.shutdown(Shutdown::Write).unwrap();
            let mut part = vec![0; length.div_ceil(2)];
            (&client).read_exact(&mut part).unwrap();
            assert!(part == bytes(7, part.len()), "{length} bytes");
            reset(client);
        }
        let greedy = Hog::feed(server).stop();
        greedy.shutdown(Shutdown::Write).unwrap();
        reset(greedy);
        converse(&server.connect().unwrap(), "echo", &bytes(8, 100_000));
    });
}
