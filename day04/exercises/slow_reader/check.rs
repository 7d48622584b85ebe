//! `slow_reader`: a client that sends and never reads cannot fill the server's memory, and
//! loses no byte.

use std::io::{ErrorKind, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// What the slow reader has to say, in bytes: far more than all sockets on the way hold.
const PLENTY: usize = 48 << 20;
/// What the server may need for it, in KiB.
const GROWTH: u64 = 6 << 10;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let other = run.connect()?;
    talk(attempt, &mut run, &other, "A client sends and reads.")?;
    need_slots(&run.record())?;
    let before = resident(&run)?;
    let shift = attempt.number(0..=250) as usize;
    let slow = connect_narrow(&mut run, 4096, 64 * 1024)?;
    let did = "A client sends as much as it can, and reads nothing.";
    run.did(did);
    let sent = fill(&mut run, &slow, shift, did)?;
    let grown = resident(&run)?.saturating_sub(before);
    if grown > GROWTH {
        return Err(fat(&run.record(), did, sent, grown));
    }
    calm(&mut run, did)?;
    sleeps(&mut run)?;
    let did = format!("{did} Another one sends and reads.");
    for _ in 0..3 {
        talk(attempt, &mut run, &other, &did).map_err(|failure| {
            if waits(&failure) || failure.id == ids::HANG_CALL {
                return Failure { id: ids::HELD_UP, ..failure }.rule(
                    "One client who does not read holds up the others: no turn may wait for one \
                     client's send.",
                );
            }
            failure
        })?;
    }
    let did = format!(
        "A client sent {sent} bytes, ended its side, and reads all of them only then."
    );
    slow.shutdown(Shutdown::Write)
        .map_err(|error| trouble(&mut run, &did, &error))?;
    let bytes = pattern(sent, shift);
    // Who takes everything keeps it somewhere, or throws it away: the first bytes tell.
    let first = if sent >= PLENTY { PLENTY / 8 } else { sent };
    expect(&mut run, &slow, &bytes[..first], &did)
        .map_err(|failure| explain(&run.record(), failure))?;
    if sent >= PLENTY {
        return Err(fat(&run.record(), &did, sent, grown));
    }
    expect_end(&mut run, &slow, &did)?;

    let did = "A client sends as much as it can, reads nothing, and resets the connection.";
    let rude = connect_narrow(&mut run, 4096, 64 * 1024)?;
    fill(&mut run, &rude, shift, did)?;
    testkit::reset(rude);
    talk(attempt, &mut run, &other, did)?;
    drop(other);
    need_free_slots(&mut run, did)?;
    run.stop();
    Ok(Passed::new(format!(
        "After {sent} bytes the slow reader had to wait; it cost {grown} KiB, and got all of them \
         back."
    )))
}

fn resident(run: &Run) -> Result<u64, Failure> {
    testkit::resident_kib(run.pid()).map_err(|error| {
        Failure::not_observed(format!("the memory of the program: {error}"))
    })
}

fn talk(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let word = attempt.word(attempt.number(10..=3000) as usize);
    send(run, client, word.as_bytes(), did)?;
    expect(run, client, word.as_bytes(), did)
}

fn pattern(length: usize, shift: usize) -> Vec<u8> {
    (0..length).map(|at| ((at + shift) % 251 + (at >> 16)) as u8).collect()
}

/// Sends without reading until no more goes in; how many bytes did.
fn fill(
    run: &mut Run,
    mut client: &TcpStream,
    shift: usize,
    did: &str,
) -> Result<usize, Failure> {
    let bytes = pattern(PLENTY, shift);
    let _ = client.set_nonblocking(true);
    let (mut sent, mut moved) = (0, Instant::now());
    while sent < PLENTY && moved.elapsed() < Duration::from_millis(500) {
        match client.write(&bytes[sent..(sent + (1 << 18)).min(PLENTY)]) {
            Ok(count) => {
                sent += count;
                moved = Instant::now();
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(2));
            }
            Err(error) => {
                let failure = trouble(run, did, &error);
                return Err(dropped(&run.record(), failure));
            }
        }
    }
    let _ = client.set_nonblocking(false);
    Ok(sent)
}

fn fat(record: &Record, did: &str, sent: usize, grown: u64) -> Failure {
    let mut kernel = record.last_lines(of_ops(&["RECV", "SEND"]));
    kernel.push(format!(
        "the server took {sent} bytes; its memory grew by {grown} KiB"
    ));
    record.fail(ids::MEMORY).client(did).kernel(kernel).rule(
        "What a client does not read is kept for it, as much as it likes to send. When enough is \
         queued for a client, receive no more from it: its socket fills, its window closes, and it \
         has to wait.",
    )
}

/// Nothing happens while the slow reader waits.
fn calm(run: &mut Run, did: &str) -> Result<(), Failure> {
    let before = run.record().summary.enters;
    std::thread::sleep(Duration::from_millis(300));
    let record = run.record();
    let calls = record.summary.enters - before;
    if calls <= 60 {
        return Ok(());
    }
    run.did(did);
    Err(record.fail(ids::SPIN).kernel(record.last_lines(of_ops(&["RECV", "SEND"]))).rule(format!(
        "Nothing can be sent and nothing is to be received, and still there were {calls} calls in \
         a moment. Wait for the send's completion: it says when there is room again."
    )))
}

/// A client whose connection ended though it only was slow.
fn dropped(record: &Record, failure: Failure) -> Failure {
    if [ids::RESET, ids::NO_ANSWER, ids::LOST].contains(&failure.id) {
        return Failure { id: ids::LOST, ..failure }
            .kernel(record.last_lines(of_ops(&["CLOSE", "SHUTDOWN"])))
            .rule(
                "The client was dropped for being slow, or what it had sent was. It is to wait, \
                 and to lose nothing.",
            );
    }
    failure
}

fn explain(record: &Record, failure: Failure) -> Failure {
    match failure.id {
        ids::WRONG_ANSWER => failure.rule(
            "Bytes are missing or out of order. What was received has to be kept until it was \
             sent; to save memory, receive later.",
        ),
        _ if failure.rule == EARLY_END || failure.id == ids::RESET => dropped(record, failure),
        _ if waits(&failure) => Failure { id: ids::NO_ANSWER, ..failure }
            .kernel(record.last_lines(of_ops(&["RECV", "SEND"])))
            .rule(
                "The client reads now, and nothing more comes. A receive that was left out because \
                 too much was queued has to be queued when there is room again: after a send, for \
                 no other completion will come.",
            ),
        _ => failure,
    }
}
