//! Conversations: long ones, slow ones, and their ends.

use std::io::BufReader;
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::end_of_file;

use super::*;

/// Pitfall 9: a close with unread input sends a reset, and the answer is lost.
#[test]
fn pitfall_09_a_long_request_gets_its_answer_and_no_reset() {
    let Some(server) = serve(&[]) else { return };
    for length in [1 << 20, 3 << 20] {
        assert_eq!(ask(&server, &noise(length)), b"ack\0");
    }
    // The server finds the socket empty after the first part, and answers it. The client goes on
    // sending for longer than a turn waits, and for less time than the server lingers. It must get
    // its answer all the same.
    let mut client = server.connect().unwrap();
    client.write_all(b"first").unwrap();
    let mut first = [0];
    client.read_exact(&mut first).unwrap();
    for part in noise(2 << 20).chunks(1 << 17) {
        client.write_all(part).expect("no reset while it is still sending");
        std::thread::sleep(Duration::from_millis(15));
    }
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!([&first[..], &to_the_end(&client)].concat(), b"ack\0");
    drop(client);
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("requests"), stopped.count("resets")), (3, 0));
}

/// Only up to a deadline: a client that never ends is cut off, and holds no slot forever.
#[test]
fn pitfall_09_a_client_that_stays_after_its_answer_is_let_go() {
    let Some(server) = serve(&["--slots", "1"]) else { return };
    let mut client = server.connect().unwrap();
    client.write_all(b"hello").unwrap();
    assert_eq!(to_the_end(&client), b"ack\0");
    // It does not close. The only slot still comes free.
    assert_eq!(ask(&server, b"next"), b"ack\0");
    server.stop(Signal::SIGINT).unwrap().well();
}

/// Pitfall 12: the kernel takes a part of a large reply.
#[test]
fn pitfall_12_sixteen_mebibytes_come_back_to_a_slow_reader() {
    for arguments in [&["--buffer-size", "1048576", "--buffers", "16"][..], &[]] {
        let Some(server) = serve_echo(arguments) else { return };
        let client = server.connect().unwrap();
        let sent = noise(16 << 20);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut writer = &client;
                writer.write_all(&sent).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
            });
            let mut reader = BufReader::with_capacity(1 << 16, &client);
            let mut part = vec![0; 1 << 16];
            for (number, expected) in sent.chunks(part.len()).enumerate() {
                if number < 32 {
                    std::thread::sleep(Duration::from_millis(5));
                }
                reader.read_exact(&mut part[..expected.len()]).unwrap();
                assert!(&part[..expected.len()] == expected, "part {number} is another");
            }
        });
        end_of_file(&client);
        let stopped = server.stop(Signal::SIGINT).unwrap().well();
        assert_eq!(stopped.count("bytes_in"), 16 << 20);
        assert_eq!(stopped.count("bytes_out"), 16 << 20);
    }
}

/// Pitfall 13: several sends on one socket overtake each other.
#[test]
fn pitfall_13_quick_messages_come_back_in_order() {
    for arguments in [&[][..], &["--buffer-size", "16"]] {
        let Some(server) = serve_echo(arguments) else { return };
        for _ in 0..5 {
            let mut client = server.connect().unwrap();
            client.set_nodelay(true).unwrap();
            // With the small buffers, each message fills one. All are filled before the first
            // reply.
            server.pause();
            let messages = noise(8 * 16);
            messages.chunks(16).for_each(|message| client.write_all(message).unwrap());
            server.resume();
            let mut back = vec![0; messages.len()];
            client.read_exact(&mut back).unwrap();
            assert!(back == messages, "another order");
        }
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

/// Pitfall 15: the client has ended its side and still reads.
#[test]
fn pitfall_15_a_half_close_is_answered_in_full() {
    let (Some(acks), Some(echoes)) = (serve(&[]), serve_echo(&[])) else { return };
    for length in [1, 5000, 1 << 20] {
        let request = noise(length);
        // Request and end arrive together.
        for server in [&acks, &echoes] {
            server.pause();
        }
        let (ack, echo) = (acks.connect().unwrap(), echoes.connect().unwrap());
        std::thread::scope(|scope| {
            for mut client in [&ack, &echo] {
                let request = &request;
                scope.spawn(move || {
                    client.write_all(request).unwrap();
                    client.shutdown(Shutdown::Write).unwrap();
                });
            }
            for server in [&acks, &echoes] {
                server.resume();
            }
            assert_eq!(to_the_end(&ack), b"ack\0");
            assert!(to_the_end(&echo) == request, "{length} bytes");
        });
    }
    acks.stop(Signal::SIGINT).unwrap().well();
    echoes.stop(Signal::SIGINT).unwrap().well();
}

/// A request may come in pieces, if the next piece is there when the last one is read. A client
/// gets the pieces of its own connection and no others.
#[test]
fn many_clients_at_a_time_get_their_own_bytes_back() {
    let Some(server) = serve_echo(&["--slots", "32", "--buffer-size", "512"]) else { return };
    std::thread::scope(|scope| {
        for number in 0..16_u8 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..10_u8 {
                    let bytes = vec![number.wrapping_mul(16) | round; 20_000];
                    assert!(echo_all(&server.connect().unwrap(), &bytes) == bytes);
                }
            });
        }
    });
    server.wait_until_empty();
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!(stopped.count("bytes_out"), 16 * 10 * 20_000);
}
