//! `slow_reader`: clients that send and do not read cannot fill the server's memory, and lose no
//! byte.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// The bytes that a slow reader sends at most: far more than all sockets on the way hold.
const PLENTY: usize = 48 << 20;
/// The bytes that the server may hold for a client: several times the limit of the exercise.
const MOST: u64 = 512 << 10;
/// The slow readers: one reads late, one ends its side while bytes are queued, one resets its
/// connection.
const SLOW: usize = 3;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let other = run.connect()?;
    talk(attempt, &mut run, &other, "A client sends and reads.")?;
    need_slots(&run.record())?;
    let bytes = &pattern(PLENTY);
    let did = "Clients send as much as they can, and read nothing.";
    run.did(did);
    let mut slow = (0..SLOW)
        .map(|_| connect_narrow(&mut run, 4096, 64 * 1024))
        .collect::<Result<Vec<_>, _>>()?;
    let sent = fill(&mut run, &slow, bytes, did)?;
    let most = held(&run.record()).into_iter().max().unwrap_or(0);
    if most > MOST {
        return Err(fat(&mut run, &slow, bytes, did));
    }
    sleeps_but_for(&mut run, 60).map_err(|failure| {
        failure.client(did).rule(
            "The program can send nothing and must receive nothing, but it keeps calling the \
             kernel. Wait for the send's completion: it comes when there is room again.",
        )
    })?;
    until_its_time_is_up(&run);
    let did = format!("{did} Another one sends and reads.");
    for _ in 0..3 {
        talk(attempt, &mut run, &other, &did).map_err(held_up)?;
    }
    end_with_bytes_queued(&mut run, &slow.remove(1), sent[1], bytes)?;

    let late = slow.remove(0);
    let did = format!(
        "A client sent {} bytes, ended its side, and only then reads.",
        sent[0]
    );
    shut(&mut run, &late, &did)?;
    whole(&mut run, &late, &bytes[..sent[0]], &did)?;

    let did = "A client that has sent as much as it can, and read nothing, resets its connection.";
    slow.into_iter().for_each(testkit::reset);
    talk(attempt, &mut run, &other, did)?;
    drop(other);
    need_free_slots(&mut run, did)?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        let did = "A client sends, reads and leaves.";
        talk(attempt, run, &client, did)?;
        leaves(run, &client, did)
    })?;
    run.stop();
    Ok(Passed::new(format!(
        "After {} bytes the slow reader had to wait. The program held at most {most} bytes for it, \
         and sent all of them back.",
        sent[0]
    ))
    .measured(measured))
}

fn talk(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let word = attempt.word(attempt.number(10..=3000) as usize);
    echo(run, client, word.as_bytes(), did)
}

/// The bytes that the program received from each client and has not yet sent back.
fn held(record: &Record) -> Vec<u64> {
    let served = record.served();
    served.iter().map(|it| it.received.saturating_sub(it.sent)).collect()
}

/// All clients send without reading until their sockets are full, or the program holds too much for
/// one. Returns how many bytes each of them sent.
fn fill(
    run: &mut Run,
    clients: &[TcpStream],
    bytes: &[u8],
    did: &str,
) -> Result<Vec<usize>, Failure> {
    let mut sent = vec![0; clients.len()];
    let mut moved = Instant::now();
    let mut looked = Instant::now();
    clients.iter().for_each(|client| drop(client.set_nonblocking(true)));
    while moved.elapsed() < Duration::from_millis(400) {
        for (mut client, sent) in clients.iter().zip(&mut sent) {
            match client.write(&bytes[*sent..(*sent + (1 << 18)).min(PLENTY)]) {
                Ok(0) => {}
                Ok(count) => {
                    *sent += count;
                    moved = Instant::now();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => {
                    let failure = trouble(run, did, &error);
                    return Err(dropped(&run.record(), failure));
                }
            }
        }
        if looked.elapsed() > Duration::from_millis(100) {
            if held(&run.record()).iter().any(|held| *held > 2 * MOST) {
                break;
            }
            looked = Instant::now();
        }
        sleep(Duration::from_millis(2));
    }
    clients.iter().for_each(|client| drop(client.set_nonblocking(false)));
    Ok(sent)
}

/// The program seems to hold too much for a client. The bytes that come back show whether it kept
/// or discarded them.
fn fat(
    run: &mut Run,
    clients: &[TcpStream],
    bytes: &[u8],
    did: &str,
) -> Failure {
    let record = run.record();
    let served = record.served();
    // The client that connected first is not a slow reader.
    let slow = served.iter().skip(1).take(clients.len()).zip(clients);
    let Some((its, client)) = slow.max_by_key(|(its, _)| its.received) else {
        return record.fail(ids::MEMORY);
    };
    let (received, held) = (its.received, its.received - its.sent);
    let due = (received - held / 2) as usize;
    let late = format!("{did} Then one of them reads.");
    // The bytes that the program kept come at once.
    let _ = client.set_read_timeout(Some(PATIENCE / 5));
    if let Err(failure) = expect(run, client, &bytes[..due], &late) {
        let id = if run.ended() { failure.id } else { ids::WRONG_ANSWER };
        return explain(&run.record(), Failure { id, ..failure });
    }
    let mut kernel = record.last_lines(of_ops(&["RECV", "SEND"]));
    kernel.push(format!(
        "received from one client: {received} bytes; held: {held}"
    ));
    record.fail(ids::MEMORY).client(did).kernel(kernel).rule(
        "The program queues bytes for a client that does not read, without a limit. When about 64 \
         KiB are queued for a client, receive no more from it: its socket fills, its window \
         closes, and it has to wait.",
    )
}

/// If the program waits with a time limit, lets that time pass, so that the check sees what it does
/// then.
fn until_its_time_is_up(run: &Run) {
    const LONGEST: Duration = Duration::from_secs(12);
    let rings = run.rings();
    let inside = rings.iter().flat_map(|ring| &ring.inside);
    let abs = |flags: &[String]| flags.iter().any(|flag| flag.contains("ABS"));
    let limits = inside.filter(|enter| !abs(&enter.flags));
    let limit = limits.filter_map(|enter| enter.at_most_us).max();
    let limit = Duration::from_micros(limit.unwrap_or(0));
    if !limit.is_zero() {
        sleep(LONGEST.min(limit + Duration::from_millis(300)));
    }
}

fn held_up(failure: Failure) -> Failure {
    if !waits(&failure) && failure.id != ids::HANG_CALL {
        return failure;
    }
    Failure { id: ids::HELD_UP, ..failure }.rule(
        "One client does not read, and another gets no answer. Do not wait for the send to one \
         client, and stop only the receives of the client whose queue is full.",
    )
}

/// A client has sent all its bytes. It reads so much that the server receives all of them, but not
/// so much that the server sends all of them back. Then it ends its side.
fn end_with_bytes_queued(
    run: &mut Run,
    client: &TcpStream,
    sent: usize,
    bytes: &[u8],
) -> Result<(), Failure> {
    const STEP: usize = 32 << 10;
    let did = "A client that did not read ends its side while some bytes are still queued for it, \
               and then reads.";
    // It connected third.
    let received =
        |record: &Record| record.served().get(2).map_or(0, |it| it.received);
    let (mut read, mut sent) = (0, sent);
    let mut last_words = 20 << 10;
    while read < sent {
        if seen(run, Duration::from_millis(20), |it| {
            received(it) >= sent as u64
        }) {
            if last_words == 0 {
                break;
            }
            // They are queued behind the send in flight.
            send(run, client, &bytes[sent..sent + last_words], did)?;
            sent += std::mem::take(&mut last_words);
            continue;
        }
        let step = STEP.min(sent - read);
        expect(run, client, &bytes[read..read + step], did)
            .map_err(|failure| explain(&run.record(), failure))?;
        read += step;
    }
    shut(run, client, did)?;
    seen(run, Duration::from_millis(100), |record| {
        record.completed("RECV").last().is_some_and(|it| it.res == 0)
    });
    whole(run, client, &bytes[read..sent], did)
}

fn shut(run: &mut Run, client: &TcpStream, did: &str) -> Result<(), Failure> {
    let shut = client.shutdown(Shutdown::Write);
    shut.map_err(|error| trouble(run, did, &error))
}

fn whole(
    run: &mut Run,
    client: &TcpStream,
    bytes: &[u8],
    did: &str,
) -> Result<(), Failure> {
    expect(run, client, bytes, did)
        .map_err(|failure| explain(&run.record(), failure))?;
    expect_end(run, client, did)
}

/// Explains why the connection of a slow client ended.
fn dropped(record: &Record, failure: Failure) -> Failure {
    if ![ids::RESET, ids::NO_ANSWER, ids::LOST].contains(&failure.id) {
        return failure;
    }
    Failure { id: ids::LOST, ..failure }
        .kernel(record.last_lines(of_ops(&["CLOSE", "SHUTDOWN"])))
        .rule(
            "The program ended the connection before the client had all its bytes back: because \
             the client was slow, or because its input had ended. Keep the connection until all \
             queued bytes are sent.",
        )
}

fn explain(record: &Record, failure: Failure) -> Failure {
    if let (ids::WRONG_ANSWER, Some((slot, kernel))) =
        (failure.id, two_on_a_slot(record, "RECV"))
    {
        return Failure { id: ids::LOST, ..failure }.kernel(kernel).rule(format!(
            "Two receives were in flight on slot {slot}, into the same chunk, and the second \
             overwrote the bytes of the first. Have one receive in flight at a time: clear the \
             pause when you submit a receive again."
        ));
    }
    match failure.id {
        ids::WRONG_ANSWER => Failure { id: ids::LOST, ..failure }
            .kernel(record.last_lines(of_ops(&["RECV", "SEND"])))
            .rule(
                "Bytes are missing or out of order. Keep received bytes until you have sent them; \
                 to save memory, receive later.",
            ),
        _ if failure.rule == EARLY_END || failure.id == ids::RESET => dropped(record, failure),
        _ if waits(&failure) => Failure { id: ids::NO_ANSWER, ..failure }
            .kernel(record.last_lines(of_ops(&["RECV", "SEND"])))
            .rule(
                "The client reads now, but gets no more bytes. If you leave a receive out because \
                 too much is queued, submit it later, when there is room: after a send, because no \
                 other completion will come.",
            ),
        _ => failure,
    }
}
