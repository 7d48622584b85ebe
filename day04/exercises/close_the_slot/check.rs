//! `close_the_slot`: a thousand clients connect and leave in every way. Afterwards no slot is
//! taken, no descriptor is open, and no byte is lost.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::exercise::prelude::*;

const ACK: &[u8] = b"ack\0";
const CLIENTS: u64 = 1000;
/// How long one client waits after the answer.
const A_WHILE: Duration = Duration::from_millis(1200);
/// Memory in KiB by which a server may grow for other reasons.
const GROWTH: u64 = 512;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    // First a few clients with all system calls recorded, and then many.
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
        "{CLIENTS} clients: no slot stayed taken, no descriptor stayed open, and no byte was lost."
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
    let did = format!("{clients} clients have connected and left.");
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
            "the memory grew by {grown} KiB during the last three quarters of them"
        )];
        return Err(record.fail(ids::MEMORY).kernel(lines).rule(
            "Free a client's memory when it has left: a server's memory must depend on its present \
             clients, not on all that ever connected.",
        ));
    }
    Ok(())
}

fn resident(run: &Run) -> Result<u64, Failure> {
    testkit::resident_kib(run.pid()).map_err(|error| {
        Failure::not_observed(format!("the memory of the program: {error}"))
    })
}

/// A client that leaves in one of several ways. Returns the bytes that it got.
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
        3 => {
            "sends much more than the server reads, reads the answer and leaves"
        }
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
    if !crowd {
        // Or the end of the SHUTDOWN and that of the client would sometimes come together.
        std::thread::sleep(Duration::from_millis(20));
        rests(run);
    }
    if nth % 10 == 3 {
        the_rest(run, &client, crowd, &did)?;
    }
    Ok(answer.len())
}

/// The client sends more after it has read its answer. The server must read all of it.
fn the_rest(
    run: &mut Run,
    client: &TcpStream,
    crowd: bool,
    did: &str,
) -> Result<(), Failure> {
    // With many clients there is no time for pauses.
    std::thread::sleep(if crowd { Duration::ZERO } else { A_WHILE });
    // A short receive is not the end of the input either.
    for length in [1, 20_000, 20_000, 20_000, 20_000] {
        send(run, client, &vec![b'x'; length], did)?;
        std::thread::sleep(Duration::from_millis(if crowd { 0 } else { 20 }));
    }
    Ok(())
}

/// Judges the record of the first few clients.
fn as_asked(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    need_no_slot_as_fd(record)?;
    need_quiet_closes(record)
}

/// Explains why a client did not see the end of its connection.
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
                "The table is full: the program did not close all slots of clients that have left. \
                 Close each slot by an IORING_OP_CLOSE, however its client left.",
            );
    }
    if failure.id != ids::RESET {
        return failure;
    }
    let kernel = record.last_lines(of_ops(&["SEND", "SHUTDOWN", "CLOSE"]));
    failure.kernel(kernel).rule(
        "The program closed the connection before it had read all input. That resets the \
         connection, and the answer may be lost. Shut down writing, discard the client's input \
         until its end, and then close.",
    )
}
