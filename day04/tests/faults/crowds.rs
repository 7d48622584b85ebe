//! More clients than there is room for, and clients that only take room.

use testkit::{
    end_of_file, limit_descriptors, limit_descriptors_of, reset, ring_slots, wait_until,
};

use super::hog::Hog;
use super::*;

/// They come while the server is stopped, so that the backlog is full before an accept is
/// armed. Each is served to the last byte.
fn crowd(server: &Server, reply: &str, clients: u64) {
    server.pause();
    let clients: Vec<_> = (0..clients)
        .map(|number| {
            let client = server.connect().unwrap();
            let message = bytes(number, 1 + number as usize * 50);
            (&client).write_all(&message).unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            (client, message)
        })
        .collect();
    server.resume();
    for (client, message) in clients {
        assert!(to_the_end(&client) == due(reply, &message), "{reply}");
    }
}

#[test]
fn more_clients_than_slots_and_buffers_find_a_full_backlog() {
    for arguments in [
        &["--slots", "1", "--buffers", "1"][..],
        &["--slots", "3", "--buffers", "2", "--buffer-size", "100"],
        &["--slots", "200", "--buffers", "4"],
    ] {
        on_each_ring(BOTH, arguments, |server, reply| {
            crowd(server, reply, 120);
            crowd(server, reply, 5);
        });
    }
}

#[test]
fn a_low_limit_of_descriptors_costs_time_and_no_client() {
    for ring in RINGS {
        for reply in ["ack", "echo"] {
            let mut command = day04(&[&["--reply", reply, "--slots", "6"], ring].concat());
            limit_descriptors(&mut command, 16, 16);
            let Some(server) = start(command) else { return };
            crowd(&server, reply, 40);
            at_rest(server);
        }
    }
}

/// A slot is not a descriptor: once the table is registered, the limit does not matter.
#[test]
fn a_limit_that_falls_while_it_runs_costs_no_client() {
    on_each_ring(BOTH, &["--slots", "6"], |server, reply| {
        limit_descriptors_of(server.pid(), 1, 1).expect("a child of ours");
        crowd(server, reply, 40);
    });
}

/// Each connects and leaves at once, one way or another, while a client is served all along.
#[test]
fn a_flood_of_clients_that_leave_at_once_stops_nobody() {
    const EACH: usize = 300;
    for slots in ["2", "200"] {
        for ring in RINGS {
            let arguments = ["--reply", "echo", "--slots", slots];
            let Some(server) = serve(&[&arguments, ring].concat()) else { return };
            let steady = server.connect().unwrap();
            let rounds = std::thread::scope(|scope| {
                let flood: Vec<_> = (0..3)
                    .map(|way| {
                        scope.spawn({
                            let server = &server;
                            move || (0..EACH).for_each(|_| leave(server.connect().unwrap(), way))
                        })
                    })
                    .collect();
                let mut rounds = 0;
                while !flood.iter().all(|thread| thread.is_finished()) {
                    let message = bytes(rounds, 2000);
                    let mut back = vec![0; message.len()];
                    (&steady).write_all(&message).unwrap();
                    (&steady).read_exact(&mut back).expect("the message back");
                    assert!(back == message, "{ring:?}: another message");
                    rounds += 1;
                }
                rounds
            });
            drop(steady);
            let stopped = at_rest(server);
            assert_eq!(stopped.count("connections"), 1 + 3 * EACH as u64, "{ring:?}");
            assert!(stopped.count("bytes_out") >= 2000 * rounds);
        }
    }
}

fn leave(client: TcpStream, way: usize) {
    match way {
        0 => drop(client),
        1 => reset(client),
        _ => {
            // The kernel knows at once. The server ends its side when it has a slot for the client.
            client.shutdown(Shutdown::Write).unwrap();
            end_of_file(&client);
        }
    }
}

/// The others wait for a buffer, but not for ever, and lose nothing.
#[test]
fn clients_that_never_read_keep_nobody_from_being_served() {
    for buffers in ["1", "256"] {
        on_each_ring(ECHO, &["--buffers", buffers], |server, _| {
            let hogs = [Hog::feed(server), Hog::feed(server)];
            std::thread::scope(|scope| {
                for key in 0..4 {
                    let client = server.connect().unwrap();
                    scope.spawn(move || converse(&client, "echo", &bytes(key, 50_000)));
                }
            });
            assert!(hogs.iter().all(|hog| hog.sent() > 0));
            if buffers == "1" {
                wait_until("the one who held the buffer is closed", || {
                    hogs.iter().any(Hog::was_closed)
                });
            }
            drop(hogs);
        });
    }
}

/// Buffers run out repeatedly: each client sends more than all buffers hold.
#[test]
fn who_finds_no_buffer_waits_and_loses_nothing() {
    let mut waits = 0;
    for ring in RINGS {
        let arguments = ["--reply", "echo", "--buffers", "2", "--buffer-size", "1000"];
        let Some(server) = serve(&[&arguments, ring].concat()) else { return };
        std::thread::scope(|scope| {
            for key in 0..10 {
                let client = server.connect().unwrap();
                scope.spawn(move || converse(&client, "echo", &bytes(key, 40_000)));
            }
        });
        let stopped = at_rest(server);
        assert_eq!((stopped.count("bytes_in"), stopped.count("bytes_out")), (400_000, 400_000));
        waits += stopped.count("out_of_buffers");
    }
    assert!(waits > 0, "no client had to wait for a buffer");
}

/// Every slot is taken by a silent client. When one of them leaves, all waiting clients are served
/// in its slot, one after the other.
#[test]
fn a_slot_that_comes_free_serves_all_who_wait() {
    on_each_ring(BOTH, &["--slots", "3"], |server, reply| {
        let mut silent: Vec<_> = (0..3).map(|_| server.connect().unwrap()).collect();
        wait_until("they are in", || ring_slots(server.pid()).unwrap().len() >= 3);
        let waiting: Vec<_> = (0..6).map(|_| server.connect().unwrap()).collect();
        std::thread::scope(|scope| {
            for (key, client) in (0..).zip(&waiting) {
                scope.spawn(move || converse(client, reply, &bytes(key, 5000)));
            }
            // One slot serves all six; the other two silent clients stay to the end.
            drop(silent.pop());
        });
        drop(silent);
    });
}
