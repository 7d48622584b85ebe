//! `close_the_slot`: a thousand clients who come and leave in every way, and neither a slot nor
//! a descriptor nor a byte is left behind.

use std::collections::BTreeMap;
use std::io::Write;
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
    a_few(attempt)?;
    let mut run = attempt
        .run("The program was run.")
        .patience(PATIENCE)
        .fast()
        .start()?;
    run.listening()?;
    let descriptors = run.descriptors()?;
    let mut memory = 0;
    for nth in 1..=CLIENTS {
        let did = format!("Client {nth} of {CLIENTS}");
        one(attempt, &mut run, nth, &did)?;
        if nth == CLIENTS / 4 {
            memory = resident(&run)?;
        }
    }
    let did = format!("{CLIENTS} clients have come and gone.");
    need_free_slots(&mut run, &did)?;
    same_descriptors(&mut run, &descriptors, &did)?;
    let grown = resident(&run)?.saturating_sub(memory);
    if grown > GROWTH {
        run.did(&did);
        let lines = [format!(
            "the last {} of them cost {grown} KiB of memory",
            CLIENTS * 3 / 4
        )];
        return Err(run.record().fail(ids::MEMORY).kernel(lines).rule(
            "What a client needs is to be free again when it has left: the memory of a server \
             depends on how many are there, not on how many have been.",
        ));
    }
    run.stop();
    Ok(Passed::new(format!(
        "{CLIENTS} clients: no slot, no descriptor and no byte was left behind."
    )))
}

/// The first ones, with all system calls recorded.
fn a_few(attempt: &Attempt) -> Result<(), Failure> {
    let mut run = serve(attempt)?;
    let descriptors = run.descriptors()?;
    for nth in 1..=10 {
        let did = format!("Client {nth}");
        let known = |run: &Run| slots_are_slots(&run.record());
        one(attempt, &mut run, nth, &did)
            .map_err(|failure| known(&run).err().unwrap_or(failure))?;
    }
    slots_are_slots(&run.record())?;
    let did = "A few clients have come and gone.";
    need_free_slots(&mut run, did)?;
    sleeps(&mut run)?;
    same_descriptors(&mut run, &descriptors, did)?;
    run.stop();
    Ok(())
}

fn slots_are_slots(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    no_slot_as_fd(record)
}

fn resident(run: &Run) -> Result<u64, Failure> {
    testkit::resident_kib(run.pid()).map_err(|error| {
        Failure::not_observed(format!("the memory of the program: {error}"))
    })
}

fn same_descriptors(
    run: &mut Run,
    before: &BTreeMap<i32, String>,
    did: &str,
) -> Result<(), Failure> {
    let now = run.descriptors()?;
    if now.len() == before.len() {
        return Ok(());
    }
    run.did(did);
    let gone = before.iter().find(|(fd, _)| !now.contains_key(fd));
    let new = now.iter().find(|(fd, _)| !before.contains_key(fd));
    let lines = [gone.map(|it| ("gone", it)), new.map(|it| ("new", it))]
        .into_iter()
        .flatten()
        .map(|(how, (fd, what))| format!("{how}: descriptor {fd}, {what}"));
    Err(run.record().fail(ids::NOT_CLOSED).kernel(lines).rule(format!(
        "The program had {} descriptors open before, and has {} now. Clients in slots need none.",
        before.len(),
        now.len()
    )))
}

/// A client, who leaves in one of the ways in which clients leave.
fn one(
    attempt: &Attempt,
    run: &mut Run,
    nth: u64,
    who: &str,
) -> Result<(), Failure> {
    let client = run.connect()?;
    match nth % 10 {
        3 => {
            let did = format!(
                "{who} sends much more than is read, reads the answer and leaves."
            );
            long(attempt, run, client, &did)
        }
        5 => {
            let did = format!("{who} sends nothing and ends its side.");
            client
                .shutdown(Shutdown::Write)
                .map_err(|error| trouble(run, &did, &error))?;
            expect_end(run, &client, &did)
        }
        6 => {
            testkit::reset(client);
            Ok(())
        }
        7 => {
            let did =
                format!("{who} sends something and resets the connection.");
            send(run, &client, b"never mind", &did)?;
            testkit::reset(client);
            Ok(())
        }
        8 => {
            let did = format!(
                "{who} sends something, ends its side, and reads the answer."
            );
            send(run, &client, attempt.word(40).as_bytes(), &did)?;
            client
                .shutdown(Shutdown::Write)
                .map_err(|error| trouble(run, &did, &error))?;
            answered(run, &client, &did)
        }
        _ => {
            let did =
                format!("{who} sends something, reads the answer and leaves.");
            let length = attempt.number(1..=900) as usize;
            send(run, &client, attempt.word(length).as_bytes(), &did)?;
            answered(run, &client, &did)
        }
    }
}

fn answered(
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    expect(run, client, ACK, did)
        .map_err(|failure| blame(&run.record(), failure))?;
    expect_end(run, client, did)
        .map_err(|failure| blame(&run.record(), failure))
}

/// A request that the server has answered long before it is all there.
fn long(
    attempt: &Attempt,
    run: &mut Run,
    mut client: TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let bytes = vec![b'x'; attempt.number(30_000..=90_000) as usize];
    let (first, rest) = bytes.split_at(2000);
    // In a crowd there is no time for pauses; a few clients have them.
    let hurried = run.record().summary.fast;
    let pause = if hurried { Duration::ZERO } else { A_WHILE };
    send(run, &client, first, did)?;
    expect(run, &client, ACK, did)
        .map_err(|failure| blame(&run.record(), failure))?;
    expect_end(run, &client, did)
        .map_err(|failure| blame(&run.record(), failure))?;
    std::thread::sleep(pause);
    // The rest comes when the answer has long been read; it is still to be taken.
    for piece in rest.chunks(20_000) {
        std::thread::sleep(Duration::from_millis(if hurried { 0 } else { 5 }));
        if let Err(error) = client.write_all(piece) {
            let failure = trouble(run, did, &error);
            return Err(blame(&run.record(), failure));
        }
    }
    Ok(())
}

/// Why a client did not see the end that it should have.
fn blame(record: &Record, failure: Failure) -> Failure {
    match failure.id {
        ids::RESET => failure.kernel(record.last_lines(of_ops(&["SEND", "SHUTDOWN", "CLOSE"]))).rule(
            "The client's connection was reset: it was closed while there was input that nobody \
             had read, or that was still to come, and the answer may be lost with it. Shut down \
             writing, throw away what comes up to the client's end, and close then.",
        ),
        ids::NOT_CLOSED | ids::NO_ANSWER if waits(&failure) || failure.id == ids::NOT_CLOSED => {
            full(record).unwrap_or(failure)
        }
        _ => failure,
    }
}

/// The table is full of slots that nobody closed.
fn full(record: &Record) -> Option<Failure> {
    let enfile = |what: &What| {
        matches!(what, What::Complete(it)
        if it.op.as_deref() == Some("ACCEPT") && it.error.as_deref() == Some("ENFILE"))
    };
    record.events.iter().any(|event| enfile(&event.what)).then(|| {
        record.fail(ids::NOT_CLOSED).kernel(record.lines(enfile)).rule(
            "The table is full: slots of clients who have left were never closed. Each needs an \
             IORING_OP_CLOSE of its own, however its client left.",
        )
    })
}

/// The number of a slot was never taken for a descriptor's: neither in a call nor in an entry.
fn no_slot_as_fd(record: &Record) -> Result<(), Failure> {
    let slots: Vec<u64> =
        record.completes().filter(brought).map(|it| it.res as u64).collect();
    let Some(&first) = slots.first() else { return Ok(()) };
    let calls = record.plain_calls(&["close", "shutdown"]);
    let accepted = record.lines_at_most(
        1,
        |what| matches!(what, What::Complete(it) if brought(&it)),
    );
    let failure = |line: Vec<String>, what: &str| {
        record.fail(ids::SLOT_AS_FD).kernel([accepted.clone(), line].concat()).rule(format!(
            "A slot's number is no descriptor: {what} is about whatever file the process has open \
             under that number (0 is its standard input), and the client in the slot notices \
             nothing. A slot is closed by the ring: `opcode::Close` on `types::Fixed`."
        ))
    };
    let of_a_slot =
        calls.iter().find(|call| call.us > 0 && slots.contains(&call.args[0]));
    if let Some(call) = of_a_slot {
        let name = format!("{}({})", call.name, call.args[0]);
        return Err(failure(
            vec![format!("system call {name}; slot {first} is a client's")],
            &name,
        ));
    }
    let by_fd = |submit: &&Submit| {
        ["CLOSE", "SHUTDOWN"].contains(&submit.op.as_str())
            && number(submit, "fd").is_some_and(|fd| slots.contains(&fd))
    };
    if let Some(bad) = record.submits().find(by_fd) {
        let seq = bad.seq;
        let lines = record.lines_at_most(2, |what| match what {
            What::Submit(submit) => submit.seq == seq,
            What::Complete(complete) => complete.seq == Some(seq),
            _ => false,
        });
        return Err(failure(lines, &format!("{} of {}", bad.op, bad.words)));
    }
    Ok(())
}
