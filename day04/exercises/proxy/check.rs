//! `proxy`: bytes go both ways between clients and a backend, until both have ended.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, sleep};
use std::time::Duration;

use crate::exercise::prelude::*;

/// The bytes that the proxy may hold for a client that does not read: a few chunks.
const MOST: u64 = 1 << 20;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let backend = Backend::start()?;
    let mut run = serve(attempt, backend.port)?;
    there_and_back(attempt, &mut run, &backend)?;
    let before = run.descriptors()?;
    let passed = much(attempt, &mut run)
        .and_then(|()| side_by_side(attempt, &mut run))
        .and_then(|()| rude(attempt, &mut run));
    passed.map_err(|failure| explain(&run, failure))?;
    let did =
        "All clients have left, and the backend has closed its connections.";
    need_free_slots(&mut run, did)?;
    let connections = backend.connections.load(Ordering::Relaxed);
    need_few_descriptors(&mut run, &before, connections as usize, did)?;
    need_slots(&run.record())?;
    sleeps_but_for(&mut run, 5)?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let did = "A client sends, reads and leaves.";
        let client = run.connect()?;
        let word = attempt.word(attempt.number(1..=2000) as usize);
        send(run, &client, format!("e{word}").as_bytes(), did)?;
        expect(run, &client, word.as_bytes(), did)?;
        leaves(run, &client, did)
    })?;
    run.stop();
    nobody_home(attempt)?;
    Ok(Passed::new(format!(
        "{connections} connections to the backend; every byte and every end came through, both \
         ways."
    ))
    .measured(measured))
}

fn serve(attempt: &Attempt, port: u16) -> Result<Run, Failure> {
    let mut run = attempt
        .run(format!("The program was run as `proxy 127.0.0.1:{port}`."))
        .arg(format!("127.0.0.1:{port}"))
        .patience(PATIENCE)
        .start()?;
    run.listening()?;
    Ok(run)
}

/// A server that follows the first byte of a connection. `e`: it sends all bytes back. `s`: it
/// reads to the end and answers with the sum of the bytes. `d`: it sends as many mebibytes as the
/// next byte says, and then ends.
struct Backend {
    port: u16,
    connections: Arc<AtomicU64>,
}

impl Backend {
    fn start() -> Result<Backend, Failure> {
        let start = || -> io::Result<Backend> {
            let listener = TcpListener::bind("127.0.0.1:0")?;
            let port = listener.local_addr()?.port();
            let connections = Arc::new(AtomicU64::new(0));
            let count = Arc::clone(&connections);
            // The thread ends with the check's process; it holds only a port.
            thread::spawn(move || {
                for stream in listener.incoming().flatten() {
                    count.fetch_add(1, Ordering::Relaxed);
                    thread::spawn(move || drop(answer(stream)));
                }
            });
            Ok(Backend { port, connections })
        };
        start().map_err(|error| {
            Failure::not_observed(format!("no backend on loopback: {error}"))
        })
    }
}

fn answer(mut stream: TcpStream) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE * 4))?;
    let mut first = [0];
    stream.read_exact(&mut first)?;
    match first[0] {
        b's' => {
            let mut all = Vec::new();
            stream.read_to_end(&mut all)?;
            stream.write_all(sum(&all).as_bytes())
        }
        b'd' => {
            let mut length = [0];
            stream.read_exact(&mut length)?;
            stream.write_all(&pattern(usize::from(length[0]) << 20))
        }
        _ => io::copy(&mut stream.try_clone()?, &mut stream).map(drop),
    }
}

fn sum(bytes: &[u8]) -> String {
    let words = bytes.chunks(8).map(|word| {
        word.iter().fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte))
    });
    let sum = words.fold(0, |sum: u64, word| {
        sum.wrapping_mul(1_099_511_628_211).wrapping_add(word)
    });
    format!("{} bytes, {sum:016x}\n", bytes.len())
}

/// Short messages, through the proxy to the backend and back.
fn there_and_back(
    attempt: &Attempt,
    run: &mut Run,
    backend: &Backend,
) -> Result<(), Failure> {
    let did = "A client sends a few messages, one after the other; the backend sends them back.";
    let client = run.connect()?;
    let mut bytes = 1;
    let talk = send(run, &client, b"e", did).and_then(|()| {
        (0..5).try_for_each(|_| {
            let word = attempt.word(attempt.number(1..=2000) as usize);
            bytes += 2 * word.len() as u64;
            echo(run, &client, word.as_bytes(), did)
        })
    });
    talk.map_err(|failure| explain(run, failure))?;
    run.did(did);
    let record = run.record();
    need_slots(&record)?;
    let connections = backend.connections.load(Ordering::Relaxed);
    if connections != 1 {
        let line = format!("connections to the backend: {connections}");
        return Err(record.fail(ids::WRONG_ANSWER).kernel([line]).rule(
            "Only the backend may answer: make one connection to it for each client.",
        ));
    }
    // The client may get its bytes before the completion is in the record.
    if !seen(run, PATIENCE / 5, |it| it.bytes_given() >= bytes)
        && record.summary.unseen_completions == 0
    {
        let sent = run.record().bytes_given();
        let line = format!("the entries sent {sent} bytes of {bytes}");
        return Err(record.fail(ids::NOT_THROUGH_RING).kernel([line]).rule(
            "Send the bytes of both directions through the ring, to the backend as well as to the \
             client.",
        ));
    }
    let did = "The client ends its side; then the backend ends its side.";
    shut(run, &client, did)?;
    expect_end(run, &client, did).map_err(|failure| explain(run, failure))
}

fn shut(run: &mut Run, client: &TcpStream, did: &str) -> Result<(), Failure> {
    let shut = client.shutdown(Shutdown::Write);
    shut.map_err(|error| trouble(run, did, &error))
}

/// Many bytes in one direction with an end before the answer, many in both directions at once, and
/// many that the client reads late.
fn much(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let bytes = pattern(attempt.number(2_000_000..=3_000_000) as usize);
    let did = format!(
        "A client sends {} bytes and ends its side. The backend answers when it has read the end.",
        bytes.len()
    );
    let client = run.connect()?;
    send(run, &client, b"s", &did)?;
    send(run, &client, &bytes, &did)?;
    shut(run, &client, &did)?;
    expect(run, &client, sum(&bytes).as_bytes(), &did)?;
    expect_end(run, &client, &did)?;

    let did = format!(
        "A client sends {} bytes and reads them at the same time, as the backend sends them back.",
        bytes.len()
    );
    let client = run.connect()?;
    send(run, &client, b"e", &did)?;
    thread::scope(|scope| {
        let writer = scope.spawn(|| (&client).write_all(&bytes));
        let read = expect(run, &client, &bytes, &did);
        // Frees a writer that still waits although the reader has given up.
        if read.is_err() {
            let _ = client.shutdown(Shutdown::Both);
        }
        let _ = writer.join();
        read
    })?;
    shut(run, &client, &did)?;
    expect_end(run, &client, &did)?;

    let mebibytes = attempt.number(3..=5) as u8;
    let did = format!(
        "The backend sends {mebibytes} MiB and ends; the client reads a little later."
    );
    // With a small receive buffer at the client, sends are short.
    let client = connect_narrow(run, 16 * 1024, 64 * 1024)?;
    send(run, &client, &[b'd', mebibytes], &did)?;
    sleep(Duration::from_millis(100));
    expect(run, &client, &pattern(usize::from(mebibytes) << 20), &did)?;
    expect_end(run, &client, &did)
}

/// One client does not read; others go on beside it.
fn side_by_side(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    const MEBIBYTES: u8 = 16;
    let did = "A client lets the backend send 16 MiB, and does not read. Others talk meanwhile.";
    let lazy = connect_narrow(run, 16 * 1024, 64 * 1024)?;
    send(run, &lazy, &[b'd', MEBIBYTES], did)?;
    let others = (0..attempt.number(8..=12))
        .map(|_| run.connect())
        .collect::<Result<Vec<_>, _>>()?;
    for client in &others {
        send(run, client, b"e", did)?;
    }
    for _ in 0..2 {
        for client in &others {
            let word = attempt.word(attempt.number(1..=2000) as usize);
            echo(run, client, word.as_bytes(), did).map_err(|failure| {
                if !waits(&failure) && failure.id != ids::HANG_CALL {
                    return failure;
                }
                Failure { id: ids::HELD_UP, ..failure }.rule(
                    "One client does not read, and the others wait for it. Each pair must go on by \
                     its own completions; never wait for one client alone.",
                )
            })?;
        }
    }
    bounded(run, did)?;
    let did = "The client that did not read now reads.";
    expect(run, &lazy, &pattern(usize::from(MEBIBYTES) << 20), did)?;
    expect_end(run, &lazy, did)
}

/// Fails if the proxy holds the bytes that the client does not read. They must stay at the backend
/// and in the sockets.
fn bounded(run: &mut Run, did: &str) -> Result<(), Failure> {
    run.did(did);
    // The backend sends for as long as it can.
    let mut before = 0;
    for _ in 0..30 {
        sleep(Duration::from_millis(200));
        let now = run.record().summary.all_completions();
        if std::mem::replace(&mut before, now) == now {
            break;
        }
    }
    let record = run.record();
    let held = record.bytes_taken().saturating_sub(record.bytes_given());
    if held <= MOST || record.summary.unseen_completions > 0 {
        return Ok(());
    }
    let mut kernel = record.last_lines(of_ops(&["RECV", "SEND"]));
    kernel.push(format!("received but not sent on: {held} bytes"));
    Err(record.fail(ids::MEMORY).kernel(kernel).rule(
        "One side does not read, and the proxy keeps all bytes for it, without a limit. Use one \
         chunk for each direction, and receive into it again only when all of it has been sent: \
         then the sender has to wait.",
    ))
}

/// Clients reset their connections in the middle.
fn rude(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let did =
        "Clients reset their connections, one of them while the backend sends.";
    let mut client = run.connect()?;
    send(run, &client, &[b'd', 8], did)?;
    let first = client.read_exact(&mut [0]);
    first.map_err(|error| trouble(run, did, &error))?;
    testkit::reset(client);
    let client = run.connect()?;
    send(run, &client, b"e", did)?;
    let word = attempt.word(attempt.number(1..=2000) as usize);
    echo(run, &client, word.as_bytes(), did)?;
    testkit::reset(client);
    let client = run.connect()?;
    let did = format!("{did} Then another connects.");
    send(run, &client, b"e", &did)?;
    echo(run, &client, word.as_bytes(), &did)
}

/// Without a backend the proxy must disconnect its clients and keep running.
fn nobody_home(attempt: &Attempt) -> Result<(), Failure> {
    let free = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr());
    let Ok(address) = free else { return Ok(()) };
    let mut run = serve(attempt, address.port())?;
    for nth in 1..=3 {
        let did = format!("Client {nth} connects, and there is no backend.");
        run.did(&did);
        let mut client = run.connect()?;
        // The client may see an end or a reset.
        let (got, ending) = read_to_end(&mut client, 64);
        if !got.is_empty() {
            let failure = run.record().fail(ids::WRONG_ANSWER);
            return Err(failure.rule(
                "The client got bytes that no backend sent. Only close its \
                                     connection.",
            ));
        }
        match ending {
            Ending::Broken(error)
                if error.kind() != ErrorKind::ConnectionReset =>
            {
                let failure = trouble(&mut run, &did, &error);
                let waits = waits(&failure);
                let id = if waits { ids::NOT_CLOSED } else { failure.id };
                return Err(Failure { id, ..failure });
            }
            _ => {}
        }
    }
    need_free_slots(&mut run, "Clients connected, and there was no backend.")?;
    run.stop();
    Ok(())
}

/// Explains why bytes or an end did not come through.
fn explain(run: &Run, failure: Failure) -> Failure {
    if run.ended() {
        return failure;
    }
    let record = run.record();
    let lines = || {
        record.last_lines(of_ops(&[
            "CONNECT", "RECV", "SEND", "SHUTDOWN", "CLOSE",
        ]))
    };
    let none = |op: &str| record.submitted(op).is_empty();
    let connects = record.completed("CONNECT");
    let connected = connects.iter().filter(|it| it.res == 0).count();
    let came = record.completes().filter(brought).count();
    let refused = connects.iter().find_map(|it| it.error.as_ref());
    if let (0, Some(error)) = (connected, refused) {
        return Failure { id: ids::NO_ANSWER, ..failure }.kernel(lines()).rule(format!(
            "CONNECT failed with {error}, so there is no connection to the backend. The backend's \
             address is the program's argument; put port and IP address in network byte order into \
             the entry."
        ));
    }
    let (id, rule) = match failure.id {
        _ if (1..came).contains(&connected) && failure.id != ids::HELD_UP => (
            ids::WRONG_ANSWER,
            "The program made fewer connections to the backend than there were clients. Make one \
             for each client: on a shared connection the bytes of two clients are mixed, and the \
             end of one client ends both.",
        ),
        ids::NO_ANSWER | ids::HANG_WAIT | ids::HANG_IN_FLIGHT
            if failure.rule != EARLY_END =>
        {
            (
                ids::NO_ANSWER,
                if connected == 0 {
                    "The program made no connection to the backend. Submit a CONNECT for each \
                     client."
                } else if none("RECV") && none("READ") {
                    "Client and backend are connected, but the program receives from neither. \
                     Submit a receive for each side."
                } else if none("SHUTDOWN") {
                    "Not everything came through. The proxy must pass on an end like a byte: when \
                 the input of one side ends, shut down writing on the other side, and continue the \
                 other direction."
                } else {
                    "Not everything came through. Repeat for each direction by itself: receive, \
                 send all of it, receive again."
                },
            )
        }
        ids::NOT_CLOSED => (
            ids::NOT_CLOSED,
            "One side has ended, and the other side does not see an end. When the input of one \
             side ends, shut down writing on the other side; when both directions have ended, \
             close both slots.",
        ),
        ids::LOST | ids::RESET | ids::NO_ANSWER => (
            ids::LOST,
            "The connection ended before all bytes came through. When one direction ends, continue \
             the other. A send can be short: send the rest before you receive or close.",
        ),
        ids::WRONG_ANSWER => (
            ids::WRONG_ANSWER,
            "Bytes are missing, doubled, or from another client. Give each direction its own \
             chunk, and receive into it only when all of it has been sent. After a short send, \
             send the rest.",
        ),
        _ => return failure,
    };
    Failure { id, ..failure }.kernel(lines()).rule(rule)
}
