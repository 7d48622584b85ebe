//! `close_the_slot`: a thousand clients that come and leave in every way, and neither a slot nor
//! a descriptor nor a byte is left behind.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::exercise::prelude::*;

const ACK: &[u8] = b"ack\0";
const CLIENTS: u64 = 1000;
/// How long one client takes its time after the answer.
const A_WHILE: Duration = Duration::from_millis(1200);
/// Memory that a server may need besides, in KiB.
const GROWTH: u64 = 512;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    // A few with all system calls recorded, and then a crowd.
    let mut run = serve(attempt)?;
    let who = "A client";
    let measured = one_by_one(&mut run, ALONE, |run| {
        let served = one(attempt, run, 1, false, who).map(drop);
        served.map_err(|failure| blame(&run.record(), failure))
    })?;
    come_and_go(attempt, run, 10)?;
    let run = attempt.run("The program was run.").patience(PATIENCE).fast();
    come_and_go(attempt, run.start()?, CLIENTS)?;
    Ok(Passed::new(format!(
        "{CLIENTS} clients: no slot, no descriptor and no byte was left behind."
    ))
    .measured(measured))
}

fn come_and_go(
    attempt: &Attempt,
    mut run: Run,
    clients: u64,
) -> Result<(), Failure> {
    run.listening()?;
    let crowd = clients == CLIENTS;
    let mut descriptors = run.descriptors()?;
    let mut memory = 0;
    let mut answers = 0;
    for nth in 1..=clients {
        let who = format!("Client {nth} of {clients}");
        answers += one(attempt, &mut run, nth, crowd, &who)
            .map_err(|failure| blame(&run.record(), failure))?;
        if nth == clients / 4 {
            memory = resident(&run)?;
            descriptors = run.descriptors()?;
        }
    }
    let did = format!("{clients} clients have come and gone.");
    need_free_slots(&mut run, &did)?;
    need_few_descriptors(&mut run, &descriptors, clients as usize, &did)?;
    let grown = resident(&run)?.saturating_sub(memory);
    sleeps(&mut run)?;
    run.did(did);
    let record = run.stop();
    if crowd {
        need_served(&record, clients as usize, answers as u64)?;
    } else {
        as_asked(&record)?;
    }
    if crowd && grown > GROWTH {
        let lines = [format!(
            "the last three quarters of them cost {grown} KiB of memory"
        )];
        return Err(record.fail(ids::MEMORY).kernel(lines).rule(
            "When a client has left, free its memory: a server's memory depends on how many clients \
             it has now, not on how many it has had.",
        ));
    }
    Ok(())
}

fn resident(run: &Run) -> Result<u64, Failure> {
    testkit::resident_kib(run.pid()).map_err(|error| {
        Failure::not_observed(format!("the memory of the program: {error}"))
    })
}

/// A client, which leaves in one of the ways in which clients leave; the bytes that it got.
fn one(
    attempt: &Attempt,
    run: &mut Run,
    nth: u64,
    crowd: bool,
    who: &str,
) -> Result<usize, Failure> {
    let client = run.connect()?;
    let word = attempt.word(attempt.number(1..=900) as usize);
    let does = match nth % 10 {
        3 => "sends much more than is read, reads the answer and leaves",
        5 => "sends nothing and ends its side",
        6 => "resets the connection",
        7 => "sends something and resets the connection",
        8 => "sends something, ends its side, and reads the answer",
        _ => "sends something, reads the answer and leaves",
    };
    let did = format!("{who} {does}.");
    if nth % 10 == 6 {
        testkit::reset(client);
        return Ok(0);
    }
    if nth % 10 != 5 {
        send(run, &client, word.as_bytes(), &did)?;
    }
    match nth % 10 {
        7 => {
            testkit::reset(client);
            return Ok(0);
        }
        5 | 8 => _ = client.shutdown(Shutdown::Write),
        _ => {}
    }
    let answer: &[u8] = if nth % 10 == 5 { b"" } else { ACK };
    expect(run, &client, answer, &did)?;
    expect_end(run, &client, &did)?;
    if nth % 10 == 3 {
        the_rest(run, &client, crowd, &did)?;
    }
    Ok(answer.len())
}

/// What a client still sends when it has read its answer: all of it is taken.
fn the_rest(
    run: &mut Run,
    client: &TcpStream,
    crowd: bool,
    did: &str,
) -> Result<(), Failure> {
    // In a crowd there is no time for pauses; a few clients have them.
    std::thread::sleep(if crowd { Duration::ZERO } else { A_WHILE });
    // A few bytes are no end either.
    for length in [1, 20_000, 20_000, 20_000, 20_000] {
        send(run, client, &vec![b'x'; length], did)?;
        std::thread::sleep(Duration::from_millis(if crowd { 0 } else { 20 }));
    }
    Ok(())
}

/// What the record of a few clients must say.
fn as_asked(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    need_no_slot_as_fd(record)?;
    need_quiet_closes(record)
}

/// Why a client did not see the end that it should have.
fn blame(record: &Record, failure: Failure) -> Failure {
    if !record.summary.fast {
        if let Err(other) = as_asked(record) {
            return other;
        }
    }
    let full = record
        .completed("ACCEPT")
        .iter()
        .any(|it| it.error.as_deref() == Some("ENFILE"));
    if full {
        return Failure { id: ids::NOT_CLOSED, ..failure }
            .kernel(record.lines(of_ops(&["ACCEPT"])))
            .rule(
                "The table is full: slots of clients that have left were never closed. Each needs \
                 an IORING_OP_CLOSE of its own, however its client left.",
            );
    }
    if failure.id != ids::RESET {
        return failure;
    }
    let kernel = record.last_lines(of_ops(&["SEND", "SHUTDOWN", "CLOSE"]));
    failure.kernel(kernel).rule(
        "The client's connection was reset: it was closed before all input was read, and the \
         answer may be lost with it. Shut down writing, discard what the client still sends until \
         its end, and then close.",
    )
}
