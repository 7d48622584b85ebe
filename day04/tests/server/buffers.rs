//! Memory that all clients share: pitfalls 8 and 22.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use nix::sys::signal::Signal;
use testkit::{RaiseAtEnd, reset, resident_kib, wait_until};

use super::hog::Hog;
use super::*;

#[test]
fn pitfall_08_fewer_buffers_than_clients_serve_all() {
    for arguments in [
        &["--buffers", "1"][..],
        &["--buffers", "2", "--buffer-size", "100"],
        &["--buffers", "2", "--entries", "1", "--cq-entries", "1"],
    ] {
        for reply in ["ack", "echo"] {
            let Some(server) = serve(&[&["--reply", reply], arguments].concat()) else { return };
            server.pause();
            let clients: Vec<_> = (0..50).map(|_| server.connect().unwrap()).collect();
            clients.iter().for_each(|mut client| client.write_all(&[b'x'; 250]).unwrap());
            server.resume();
            for client in &clients {
                client.shutdown(Shutdown::Write).unwrap();
                let answer = to_the_end(client);
                let whole = if reply == "ack" { answer == b"ack\0" } else { answer == [b'x'; 250] };
                assert!(whole, "{arguments:?} {reply}: {answer:?}");
            }
            drop(clients);
            server.wait_until_empty();
            server.stop(Signal::SIGINT).unwrap().well();
        }
    }
}

/// A receive that is armed while the buffers are out fails at once: armed again and again,
/// it would make a loop that never sleeps.
#[test]
fn pitfall_08_without_buffers_it_does_not_spin() {
    let Some(server) = serve_echo(&["--buffers", "4", "--buffer-size", "65536"]) else { return };
    let hogs: Vec<_> = (0..3).map(|_| Hog::feed(&server)).collect();
    let clients: Vec<_> = (0..10).map(|_| server.connect().unwrap()).collect();
    clients.iter().for_each(|mut client| client.write_all(b"hello").unwrap());
    // No client gets a buffer until the first hogs have not read for a second.
    for mut client in &clients {
        client.read_exact(&mut [0; 5]).unwrap();
    }
    drop((hogs, clients));
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    let (enters, buffers) = (stopped.count("enters"), stopped.count("bytes_in") / 65536);
    // A spin makes ten thousands of calls a second.
    assert!(enters < 8 * buffers + 400, "{enters} enters for {buffers} full buffers");
}

/// Clients that are silent need no buffer, and must not keep the others from one.
#[test]
fn pitfall_08_silent_clients_do_not_keep_a_free_buffer_from_the_others() {
    let Some(server) = serve_echo(&["--buffers", "1"]) else { return };
    let greedy = Hog::feed(&server);
    // All of these wait for the one buffer, the silent ones first.
    let silent: Vec<_> = (0..40).map(|_| server.connect().unwrap()).collect();
    let mut client = server.connect().unwrap();
    client.write_all(b"hello").unwrap();
    reset(greedy.stop());
    client.read_exact(&mut [0; 5]).expect("a buffer is free");
    for client in &silent {
        echo(client, b"me too");
    }
    drop((silent, client));
    server.stop(Signal::SIGINT).unwrap().well();
}

/// Nor does a client that always has something to send. Also pitfall 18: a turn that only
/// submits does not run the work that brings the others' bytes.
#[test]
fn pitfall_08_a_flood_does_not_keep_the_buffers_from_the_others() {
    for arguments in [&["--buffers", "2"][..], &["--buffers", "1"]] {
        let Some(server) = serve_echo(arguments) else { return };
        let (stop, flood) = (AtomicBool::new(false), AtomicUsize::new(0));
        std::thread::scope(|scope| {
            let _end = RaiseAtEnd(&stop);
            for _ in 0..3 {
                let client = server.connect().unwrap();
                let mut writer = client.try_clone().unwrap();
                let (stop, flood) = (&stop, &flood);
                scope.spawn(move || {
                    while !stop.load(Ordering::Relaxed) {
                        writer.write_all(&[b'x'; 1 << 16]).unwrap();
                    }
                    writer.shutdown(Shutdown::Write).unwrap();
                });
                scope.spawn(move || {
                    let mut part = vec![0; 1 << 16];
                    while let Ok(read @ 1..) = (&client).read(&mut part) {
                        flood.fetch_add(read, Ordering::Relaxed);
                    }
                });
            }
            wait_until("the flood is on", || flood.load(Ordering::Relaxed) > 1 << 22);
            let client = server.connect().unwrap();
            let before = flood.load(Ordering::Relaxed);
            (0..30).for_each(|_| echo(&client, b"ping"));
            let each = (flood.load(Ordering::Relaxed) - before) / 30;
            // In a fair loop it is some kilobytes. In an unfair one it was hundreds of megabytes.
            assert!(each < 16 << 20, "{each} bytes of the flood for each short message");
        });
        server.stop(Signal::SIGINT).unwrap().well();
    }
}

#[test]
fn pitfall_22_clients_that_never_read_cost_no_memory() {
    let Some(server) = serve_echo(&["--buffers", "256"]) else { return };
    echo_all(&server.connect().unwrap(), &noise(1 << 20));
    let before = resident_kib(server.pid()).unwrap();
    let hogs: Vec<_> = (0..6).map(|_| Hog::feed(&server)).collect();
    let sent = hogs.iter().map(Hog::sent).sum::<usize>() / 1024;
    let grown = resident_kib(server.pid()).unwrap() - before;
    // All 256 buffers are a mebibyte.
    assert!(sent > 4 * 3072, "the hogs sent only {sent} KiB");
    assert!(grown < 3072, "{grown} KiB more for {sent} KiB that nobody reads");
    // The others are served as before.
    for _ in 0..10 {
        assert!(echo_all(&server.connect().unwrap(), &noise(100_000)) == noise(100_000));
    }
    drop(hogs);
    server.stop(Signal::SIGINT).unwrap().well();
}

/// Its replies queue up to a limit, and then nothing more is received from it.
#[test]
fn pitfall_22_a_client_that_never_reads_leaves_buffers_for_the_others() {
    let Some(server) = serve_echo(&[]) else { return };
    let greedy = Hog::feed(&server);
    assert!(echo_all(&server.connect().unwrap(), &noise(100_000)) == noise(100_000));
    drop(greedy);
    let stopped = server.stop(Signal::SIGINT).unwrap().well();
    assert_eq!((stopped.count("out_of_buffers"), stopped.count("timed_out")), (0, 0));
}

/// Each holds a 64th of the buffers, or one; and a new client finds a buffer at once.
#[test]
fn pitfall_22_eight_that_never_read_leave_buffers_for_the_others() {
    for (buffers, share) in [("256", 4), ("16", 1)] {
        let Some(server) = serve_echo(&["--buffers", buffers]) else { return };
        let hogs: Vec<_> = std::thread::scope(|scope| {
            let feeding: Vec<_> = (0..8).map(|_| scope.spawn(|| Hog::feed(&server))).collect();
            feeding.into_iter().map(|hog| hog.join().unwrap()).collect()
        });
        for _ in 0..5 {
            assert!(echo_all(&server.connect().unwrap(), &noise(100_000)) == noise(100_000));
        }
        // A second signal stops it at once, and the replies that are queued are discarded: the
        // bytes that it has received and not sent.
        server.signal(Signal::SIGINT);
        let stopped = server.stop(Signal::SIGTERM).unwrap().well();
        drop(hogs);
        assert_eq!((stopped.count("out_of_buffers"), stopped.count("timed_out")), (0, 0));
        let queued = (stopped.count("bytes_in") - stopped.count("bytes_out")).div_ceil(4096);
        assert!(queued <= 8 * share, "{queued} of {buffers} buffers");
    }
}

/// A client that has taken its replies so far has a multishot armed, which takes dozens of
/// buffers before the server sees the first. The others need other buffers.
#[test]
fn pitfall_22_eight_that_stop_reading_leave_buffers_for_the_others() {
    let Some(server) = serve_echo(&["--buffers", "32"]) else { return };
    let hogs: Vec<_> = (0..8).map(|_| stops_reading(&server)).collect();
    hogs.iter().for_each(|mut hog| while hog.write(&[b'x'; 1 << 16]).is_ok() {});
    std::thread::scope(|scope| {
        for client in (0..8).map(|_| server.connect().unwrap()) {
            scope.spawn(move || assert!(echo_all(&client, &noise(100_000)) == noise(100_000)));
        }
    });
    server.signal(Signal::SIGINT);
    let stopped = server.stop(Signal::SIGTERM).unwrap().well();
    drop(hogs);
    assert_eq!((stopped.count("out_of_buffers"), stopped.count("timed_out")), (0, 0));
    let queued = (stopped.count("bytes_in") - stopped.count("bytes_out")).div_ceil(4096);
    assert!(queued <= 32 + 8, "{queued} buffers: more than all multishots' and eight shares");
}

/// A client that says one thing at a time, and reads nothing, until its socket is full.
fn stops_reading(server: &Server) -> TcpStream {
    let mut client = connect_with_small_buffer(server);
    let mut before = 0;
    loop {
        client.write_all(&[b'x'; 500]).unwrap();
        std::thread::sleep(Duration::from_millis(5));
        let unread = client.peek(&mut [0; 1 << 16]).unwrap();
        if unread > 0 && unread == before {
            client.set_nonblocking(true).unwrap();
            return client;
        }
        before = unread;
    }
}

#[test]
fn pitfall_22_nor_do_they_keep_the_buffers_for_ever() {
    for arguments in [&["--buffers", "4"][..], &["--buffers", "1", "--entries", "1"]] {
        let Some(server) = serve_echo(arguments) else { return };
        // One holds one buffer at least.
        let hogs: Vec<_> = (0..5).map(|_| Hog::feed(&server)).collect();
        // They have gone a second without reading when the first of them is closed.
        wait_until("a hog is closed for the others' sake", || {
            assert!(echo_all(&server.connect().unwrap(), &noise(50_000)) == noise(50_000));
            hogs.iter().any(Hog::was_closed)
        });
        drop(hogs);
        server.stop(Signal::SIGINT).unwrap().well();
    }
}
