//! `proxy`: bytes go both ways between clients and a backend, to the end of both.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::exercise::prelude::*;

/// What twenty pairs may need besides, in KiB; far less than one client leaves unread.
const GROWTH: u64 = 4 << 10;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let backend = Backend::start().map_err(|error| {
        Failure::not_observed(format!("no backend on loopback: {error}"))
    })?;
    let mut run = serve(attempt, backend.port)?;
    there_and_back(attempt, &mut run, &backend)?;
    up_and_down(attempt, &mut run)?;
    side_by_side(attempt, &mut run)?;
    rude(attempt, &mut run)?;
    let did =
        "All clients have gone, and the backend has closed its connections.";
    need_free_slots(&mut run, did)?;
    need_slots(&run.record())?;
    calm(&mut run)?;
    sleeps(&mut run)?;
    run.stop();
    nobody_home(attempt)?;
    Ok(Passed::new(format!(
        "{} connections to the backend; every byte came through, both ways, and every end.",
        backend.connections.load(Ordering::Relaxed)
    )))
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

/// A server that does what the first byte of a connection says: `e` sends back what comes;
/// `s` reads to the end and answers with the sum of it; `d` sends as many mebibytes as the
/// next byte says, and then ends.
struct Backend {
    port: u16,
    connections: Arc<AtomicUsize>,
}

impl Backend {
    fn start() -> std::io::Result<Backend> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let port = listener.local_addr()?.port();
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        // It ends with the process of the check; it holds nothing but a port.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                count.fetch_add(1, Ordering::Relaxed);
                thread::spawn(move || drop(answer(stream)));
            }
        });
        Ok(Backend { port, connections })
    }
}

fn answer(mut stream: TcpStream) -> std::io::Result<()> {
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
        _ => {
            let mut chunk = vec![0; 1 << 16];
            loop {
                match stream.read(&mut chunk)? {
                    0 => return Ok(()),
                    count => stream.write_all(&chunk[..count])?,
                }
            }
        }
    }
}

fn sum(bytes: &[u8]) -> String {
    let sum = bytes.iter().fold(0_u64, |sum, byte| {
        sum.wrapping_mul(1_099_511_628_211).wrapping_add(u64::from(*byte))
    });
    format!("{} bytes, {sum:016x}\n", bytes.len())
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251 + (at >> 16)) as u8).collect()
}

/// Short messages, through the proxy to the backend and back.
fn there_and_back(
    attempt: &Attempt,
    run: &mut Run,
    backend: &Backend,
) -> Result<(), Failure> {
    let did = "A client sends a few messages, one after the other; the backend sends them back.";
    let client = run.connect()?;
    send(run, &client, b"e", did)?;
    for _ in 0..5 {
        echo(attempt, run, &client, did)?;
    }
    need_slots(&run.record())?;
    let plain = ["connect", "sendto", "recvfrom", "sendmsg", "recvmsg"];
    run.record().need_no_plain(&plain)?;
    if backend.connections.load(Ordering::Relaxed) != 1 {
        run.did(did);
        let lines = [format!(
            "connections to the backend: {}",
            backend.connections.load(Ordering::Relaxed)
        )];
        return Err(run
            .record()
            .fail(ids::WRONG_ANSWER)
            .kernel(lines)
            .rule("The answers are the backend's to give: each client has one connection to it."));
    }
    let did = "The client ends its side; the backend then ends its own.";
    client
        .shutdown(Shutdown::Write)
        .map_err(|error| trouble(run, did, &error))?;
    expect_end(run, &client, did).map_err(|failure| explain(run, failure))
}

fn echo(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let word = attempt.word(attempt.number(1..=2000) as usize);
    send(run, client, word.as_bytes(), did)?;
    expect(run, client, word.as_bytes(), did)
        .map_err(|failure| explain(run, failure))
}

/// Much in one direction, and an end before the answer.
fn up_and_down(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let bytes = pattern(attempt.number(2_000_000..=4_000_000) as usize);
    let did = format!(
        "A client sends {} bytes and ends its side. The backend answers when it has read the end.",
        bytes.len()
    );
    let client = run.connect()?;
    send(run, &client, b"s", &did)?;
    send(run, &client, &bytes, &did)?;
    client
        .shutdown(Shutdown::Write)
        .map_err(|error| trouble(run, &did, &error))?;
    expect(run, &client, sum(&bytes).as_bytes(), &did)
        .map_err(|failure| explain(run, failure))?;
    expect_end(run, &client, &did).map_err(|failure| explain(run, failure))?;

    let mebibytes = attempt.number(3..=5) as u8;
    let did = format!(
        "The backend sends {mebibytes} MiB and ends; the client reads a little later."
    );
    // With little room at the client's, sends are short.
    let client = connect_narrow(run, 16 * 1024, 64 * 1024)?;
    send(run, &client, &[b'd', mebibytes], &did)?;
    thread::sleep(Duration::from_millis(200));
    let bytes = pattern(usize::from(mebibytes) << 20);
    expect(run, &client, &bytes, &did)
        .map_err(|failure| explain(run, failure))?;
    expect_end(run, &client, &did).map_err(|failure| explain(run, failure))
}

/// A client who does not read, and others beside it.
fn side_by_side(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let before = resident(run)?;
    let did = "A client lets the backend send 16 MiB, and does not read. Others talk meanwhile.";
    let lazy = connect_narrow(run, 16 * 1024, 64 * 1024)?;
    send(run, &lazy, &[b'd', 16], did)?;
    let others = (0..attempt.number(8..=12))
        .map(|_| run.connect())
        .collect::<Result<Vec<_>, _>>()?;
    for client in &others {
        send(run, client, b"e", did)?;
    }
    for _ in 0..2 {
        for client in &others {
            echo(attempt, run, client, did).map_err(|failure| {
                if waits(&failure) || failure.id == ids::HANG_CALL {
                    return Failure { id: ids::HELD_UP, ..failure }.rule(
                        "One client does not read, and the others wait for it. Each pair goes on \
                         by its own completions; no turn may wait for one of them.",
                    );
                }
                failure
            })?;
        }
    }
    bounded(run, did, before)?;
    let did = "The client who did not read does so now.";
    expect(run, &lazy, &pattern(16 << 20), did)
        .map_err(|failure| explain(run, failure))?;
    expect_end(run, &lazy, did).map_err(|failure| explain(run, failure))
}

fn resident(run: &Run) -> Result<u64, Failure> {
    testkit::resident_kib(run.pid()).map_err(|error| {
        Failure::not_observed(format!("the memory of the program: {error}"))
    })
}

/// What the client does not read stays with the backend, but for what the sockets hold.
fn bounded(run: &mut Run, did: &str, before: u64) -> Result<(), Failure> {
    // As long as the backend can send, it does.
    let (mut received, mut still) = (0, 0);
    for _ in 0..30 {
        thread::sleep(Duration::from_millis(150));
        let now = run.record().summary.all_completions();
        still = if std::mem::replace(&mut received, now) == now {
            still + 1
        } else {
            0
        };
        if still == 4 {
            break;
        }
    }
    let grown = resident(run)?.saturating_sub(before);
    if grown <= GROWTH {
        return Ok(());
    }
    run.did(did);
    let record = run.record();
    let mut kernel = record.last_lines(of_ops(&["RECV", "SEND"]));
    kernel.push(format!("the memory of the proxy grew by {grown} KiB"));
    Err(record.fail(ids::MEMORY).kernel(kernel).rule(
        "What one side does not take the proxy keeps, as much as the other likes to send. With \
         one chunk for each direction, received into again only when all of it was sent, the \
         sender has to wait instead.",
    ))
}

/// A client that resets its connection in the middle.
fn rude(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let did =
        "Clients reset their connections, one of them while the backend sends.";
    let client = run.connect()?;
    send(run, &client, &[b'd', 8], did)?;
    thread::sleep(Duration::from_millis(50));
    testkit::reset(client);
    let client = run.connect()?;
    send(run, &client, b"e", did)?;
    echo(attempt, run, &client, did)?;
    testkit::reset(client);
    let client = run.connect()?;
    send(run, &client, b"e", did)?;
    let did = format!("{did} Then another comes.");
    echo(attempt, run, &client, &did)
}

/// With nobody there the program sleeps.
fn calm(run: &mut Run) -> Result<(), Failure> {
    let before = run.record().summary.enters;
    thread::sleep(Duration::from_millis(300));
    let record = run.record();
    let calls = record.summary.enters - before;
    if calls <= 3 {
        return Ok(());
    }
    run.did("Nobody is there, and nothing happens.");
    Err(run
        .record()
        .fail(ids::ENTERS)
        .kernel(record.last_lines(of_ops(&["RECV", "SEND"])))
        .rule(format!("{calls} calls in a moment in which nothing happened: wait for what comes.")))
}

/// Without a backend clients are let go, and the proxy stays.
fn nobody_home(attempt: &Attempt) -> Result<(), Failure> {
    let free = TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr());
    let Ok(address) = free else { return Ok(()) };
    let mut run = serve(attempt, address.port())?;
    for nth in 1..=3 {
        let did = format!("Client {nth} comes, and the backend is not there.");
        run.did(&did);
        let mut client = run.connect()?;
        // An end or a reset: either tells the client.
        let (got, ending) = read_to_end(&mut client, 64);
        if !got.is_empty() {
            return Err(run
                .record()
                .fail(ids::WRONG_ANSWER)
                .client(did)
                .rule("There was nobody to send anything."));
        }
        if let Ending::Broken(error) = ending {
            if error.kind() != std::io::ErrorKind::ConnectionReset {
                let failure = trouble(&mut run, &did, &error);
                let id =
                    if waits(&failure) { ids::NOT_CLOSED } else { failure.id };
                return Err(Failure { id, ..failure });
            }
        }
    }
    need_free_slots(&mut run, "Clients came, and the backend was not there.")?;
    run.stop();
    Ok(())
}

/// Why bytes or an end did not come through.
fn explain(run: &mut Run, failure: Failure) -> Failure {
    let record: Record = run.record();
    let lines =
        || record.last_lines(of_ops(&["RECV", "SEND", "SHUTDOWN", "CLOSE"]));
    if run.ended() {
        return failure;
    }
    let connected = record.completed("CONNECT").iter().any(|it| it.res == 0);
    match failure.id {
        ids::NO_ANSWER | ids::HANG_WAIT | ids::HANG_IN_FLIGHT if failure.rule != EARLY_END => {
            let rule = if !connected {
                "No connection to the backend was made."
            } else if record.submitted("RECV").is_empty() && record.submitted("READ").is_empty() {
                "Client and backend are connected, and nothing receives from either of them."
            } else if record.submitted("SHUTDOWN").is_empty() {
                "Something is still to come. An end goes through the proxy like a byte: when the \
                 input of one side ends, writing is shut down on the other, and the other \
                 direction goes on."
            } else {
                "Something is still to come. Each direction goes on by itself: receive, send all \
                 of it, receive again."
            };
            Failure { id: ids::NO_ANSWER, ..failure }.kernel(lines()).rule(rule)
        }
        ids::NOT_CLOSED => failure.kernel(lines()).rule(
            "One side has ended, and the other does not hear of it. When the input of one side \
             ends, shut down writing on the other; when both directions are done, close both \
             slots.",
        ),
        ids::LOST | ids::RESET | ids::NO_ANSWER => {
            Failure { id: ids::LOST, ..failure }.kernel(lines()).rule(
                "The connection ended before everything was through. The end of one direction is \
                 not the end of the other, and a send can be short: send the rest before you \
                 receive or close.",
            )
        }
        ids::WRONG_ANSWER => failure.kernel(lines()).rule(
            "Bytes are missing, doubled or another client's. A chunk must not be received into \
             before all of it was sent, and a short send goes on where it stopped.",
        ),
        _ => failure,
    }
}
