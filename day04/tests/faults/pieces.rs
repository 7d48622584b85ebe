//! Messages in pieces: byte for byte, too large for the reader, cut by a half-close.

use std::time::Duration;

use super::*;

#[test]
fn a_message_may_come_byte_by_byte() {
    for size in ["1", "4096"] {
        on_each_ring(ECHO, &["--buffer-size", size], |server, _| {
            let client = server.connect().unwrap();
            client.set_nodelay(true).unwrap();
            let message = bytes(1, 300);
            for (number, byte) in message.iter().enumerate() {
                (&client).write_all(&[*byte]).unwrap();
                // Now and then it waits for the echo, so that the server sleeps in between.
                if number % 7 == 0 {
                    let mut back = vec![0; if number == 0 { 1 } else { 7 }];
                    (&client).read_exact(&mut back).unwrap();
                    assert_eq!(back, message[number + 1 - back.len()..=number]);
                }
            }
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(to_the_end(&client), message[295..]);
        });
    }
}

/// The first byte is a request, if the socket runs empty after it; the bytes after it must cost the
/// client neither its answer nor its end-of-file.
#[test]
fn an_ack_survives_a_client_that_goes_on_byte_by_byte() {
    for ring in RINGS {
        let Some(server) = serve(ring) else { return };
        for _ in 0..3 {
            let client = server.connect().unwrap();
            client.set_nodelay(true).unwrap();
            for byte in bytes(2, 40) {
                (&client).write_all(&[byte]).expect("no reset while it is still sending");
                std::thread::sleep(Duration::from_millis(1));
            }
            client.shutdown(Shutdown::Write).unwrap();
            assert_eq!(to_the_end(&client), b"ack\0", "{ring:?}");
        }
        let stopped = at_rest(server);
        assert_eq!((stopped.count("requests"), stopped.count("bytes_out")), (3, 12));
    }
}

#[test]
fn sixteen_mebibytes_come_back_to_a_slow_reader() {
    let message = &bytes(3, 16 << 20);
    // The large buffers are for sends of which the socket takes only a part.
    for arguments in [&["--buffer-size", "1048576", "--buffers", "4"][..], &[]] {
        on_each_ring(ECHO, arguments, |server, _| {
            let client = &server.connect().unwrap();
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    let mut writer = client;
                    writer.write_all(message).unwrap();
                    client.shutdown(Shutdown::Write).unwrap();
                });
                let mut part = vec![0; 1 << 16];
                for (number, expected) in message.chunks(part.len()).enumerate() {
                    if number < 8 {
                        std::thread::sleep(Duration::from_millis(10));
                    }
                    let mut reader = client;
                    reader.read_exact(&mut part).expect("the next part");
                    assert!(part == expected, "part {number} is another");
                }
            });
            assert_eq!(to_the_end(client), b"");
        });
    }
}

/// The client's end comes with the last bytes, right after them, or much later, or without
/// any.
#[test]
fn a_half_close_is_answered_in_full() {
    on_each_ring(BOTH, &["--buffer-size", "512", "--buffers", "8"], |server, reply| {
        for (key, length) in [0, 1, 511, 512, 513, 4096, 50_000, 500_000].into_iter().enumerate() {
            let message = bytes(key as u64, length);
            converse(&server.connect().unwrap(), reply, &message);
            // Together: everything is there when the server looks.
            if length <= 50_000 {
                server.pause();
                let client = server.connect().unwrap();
                (&client).write_all(&message).unwrap();
                client.shutdown(Shutdown::Write).unwrap();
                server.resume();
                assert!(to_the_end(&client) == due(reply, &message), "{reply}, {length} bytes");
            }
            let client = server.connect().unwrap();
            (&client).write_all(&message).unwrap_or_default();
            std::thread::sleep(Duration::from_millis(5));
            if length <= 50_000 {
                client.shutdown(Shutdown::Write).unwrap();
                assert!(to_the_end(&client) == due(reply, &message), "{reply}, {length} bytes");
            }
        }
    });
}
