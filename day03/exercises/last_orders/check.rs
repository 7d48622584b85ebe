//! `last_orders`: after SIGINT nothing is in flight, no slot is held, and the exit status is 0.

use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let guests = attempt.number(3..=7) as usize;
    let record = with_guests(attempt, guests)?;
    judge(&record)?;
    let late = late_comers(attempt)?;
    judge(&late)?;
    let empty = serve(attempt)?;
    let empty = named(empty, "SIGINT comes while nobody is in.").interrupt()?;
    judge(&empty)?;
    Ok(Passed::new(format!(
        "{guests} guests saw a clean end; every entry had its last completion before the ring was \
         closed."
    )))
}

fn named(mut run: Run, did: &str) -> Run {
    run.did(did);
    run
}

fn with_guests(attempt: &Attempt, guests: usize) -> Result<Record, Failure> {
    let mut run = serve(attempt)?;
    let did = format!(
        "{guests} guests are in, one has said something, one has left. SIGINT comes."
    );
    run.did(&did);
    let mut came =
        (0..guests).map(|_| run.connect()).collect::<Result<Vec<_>, _>>()?;
    let gone = run.connect()?;
    settle_in(&mut run, guests + 1, &did)?;
    send(&mut run, &came[0], attempt.word(9).as_bytes(), &did)?;
    drop(gone);
    let heard = |record: &Record| {
        record.completed("RECV").len() >= 2
            || !record.completed("CLOSE").is_empty()
    };
    seen(&run, PATIENCE / 5, heard);
    still_in(&mut run, &came, &did)?;
    sleeps(&mut run)?;
    run.did(did);
    let record = run.interrupt()?;
    record.need_exit()?;
    came.iter_mut().try_for_each(|guest| ended_well(&record, guest))?;
    Ok(record)
}

/// Clients who come when the signal is there already: let in or not, none stays in a slot.
fn late_comers(attempt: &Attempt) -> Result<Record, Failure> {
    let mut run = serve(attempt)?;
    let late = attempt.number(3..=8);
    let did = format!(
        "Two guests are in. SIGINT comes, and {late} clients at the same moment."
    );
    run.did(&did);
    let first = [run.connect()?, run.connect()?];
    settle_in(&mut run, 2, &did)?;
    pause(&run);
    run.signal(Signal::SIGINT);
    let came: Result<Vec<TcpStream>, Failure> =
        (0..late).map(|_| run.connect()).collect();
    resume(&run);
    let record = run.end().map_err(|failure| stuck(&did, failure))?;
    drop((first, came?));
    Ok(record)
}

fn stuck(did: &str, failure: Failure) -> Failure {
    let rule = format!("It was asked to stop and goes on. {}", failure.rule);
    Failure { id: ids::STOP, client: did.to_string(), rule, ..failure }
}

/// Waits until so many were accepted.
fn settle_in(run: &mut Run, guests: usize, did: &str) -> Result<(), Failure> {
    let accepted =
        |record: &Record| record.completes().filter(brought).count() >= guests;
    if seen(run, PATIENCE, accepted) {
        return Ok(());
    }
    let record = run.record();
    need_slots(&record)?;
    let failure = run.no_answer();
    Err(Failure { client: did.to_string(), ..failure }.rule(format!(
        "{guests} clients connected, and the kernel accepted {}.",
        record.completes().filter(brought).count()
    )))
}

fn ended_well(record: &Record, guest: &mut TcpStream) -> Result<(), Failure> {
    match read_to_end(guest, 64) {
        (got, Ending::End) if got.is_empty() => Ok(()),
        (_, Ending::Broken(error)) => Err(record
            .fail(ids::RESET)
            .client(format!(
                "{} A guest's connection broke: {error}.",
                record.did
            ))
            .kernel(record.last_lines(of_ops(&["CLOSE", "RECV", "SHUTDOWN"])))
            .rule(
                "A guest is to see the end of the connection, and no reset.",
            )),
        _ => Err(record
            .fail(ids::WRONG_ANSWER)
            .rule("Nothing was to be sent to the guests, last orders or not.")),
    }
}

/// Guests stay until they leave, or until last orders.
fn still_in(
    run: &mut Run,
    guests: &[TcpStream],
    did: &str,
) -> Result<(), Failure> {
    let Some(what) = guests.iter().find_map(glance) else { return Ok(()) };
    run.did(did.replace(
        " SIGINT comes.",
        &format!(" One who has not left got {what}."),
    ));
    let record = run.record();
    need_slots(&record)?;
    Err(record
        .fail(ids::LOST)
        .kernel(record.last_lines(of_ops(&["RECV", "SHUTDOWN", "CLOSE"])))
        .rule(
            "A guest stays until it leaves. Before SIGINT there is no reason to end a connection.",
        ))
}

/// What the kernel's record says of the end.
fn judge(record: &Record) -> Result<(), Failure> {
    record.need_exit()?;
    need_slots(record)?;
    record.need_entries("ACCEPT", 1)?;
    nothing_in_flight(record)?;
    slots_closed(record)?;
    all_awaited(record)
}

/// The last completions were not only posted: the program has seen them. Those of cancels and
/// closes nobody need wait for.
fn all_awaited(record: &Record) -> Result<(), Failure> {
    let last = ["ASYNC_CANCEL", "CLOSE", "SHUTDOWN", "FILES_UPDATE"];
    let unneeded =
        last.iter().map(|op| record.completed(op).len() as u64).sum::<u64>();
    if record.summary.never_reaped <= unneeded {
        return Ok(());
    }
    record.need_all_reaped().map_err(|failure| {
        failure.rule(
            "The operations had ended when the ring was closed, but the program never looked: \
             their completions lay untaken in the queue. A pause is no proof; only an \
             operation's completion says that it has ended.",
        )
    })
}

fn nothing_in_flight(record: &Record) -> Result<(), Failure> {
    let armed: Vec<_> = record
        .summary
        .armed
        .iter()
        .filter(|armed| armed.op != "ASYNC_CANCEL")
        .collect();
    if armed.is_empty() {
        return Ok(());
    }
    const SHOWN: usize = 3;
    let mut kernel: Vec<String> = armed
        .iter()
        .take(SHOWN)
        .map(|armed| {
            format!("in flight at the end: {} {}", armed.op, armed.words)
        })
        .collect();
    if armed.len() > SHOWN {
        kernel.push(format!("and {} more", armed.len() - SHOWN));
    }
    let cancelled = !record.submitted("ASYNC_CANCEL").is_empty();
    let rule = if cancelled {
        "A cancel only asks: each operation ends with a completion of its own. Until that one is \
         in, the kernel may still write to the operation's memory and still accept clients."
    } else {
        "The ring was closed with operations in flight. Until its last completion an operation \
         may write to its memory, and an armed accept goes on accepting: cancel them, and wait \
         for each one's completion."
    };
    Err(record.fail(ids::IN_FLIGHT).kernel(kernel).rule(rule))
}

fn empties(op: &str) -> bool {
    op.contains("FILES_UPDATE") || op == "UNREGISTER_FILES"
}

/// A close that is heard of has succeeded; one may also skip its success.
fn closed(record: &Record, close: &Submit) -> bool {
    record.answers(close.seq).iter().all(|answer| answer.res == 0)
}

fn slots_closed(record: &Record) -> Result<(), Failure> {
    let mut held: Vec<u64> = Vec::new();
    for event in &record.events {
        match &event.what {
            What::Complete(accept) if brought(&accept) => {
                held.push(accept.res as u64)
            }
            // Other ways to empty slots, all at once.
            What::Submit(submit) if submit.op == "FILES_UPDATE" => held.clear(),
            What::Register(it) if it.error.is_none() && empties(&it.op) => {
                held.clear()
            }
            What::Submit(close)
                if close.op == "CLOSE" && closed(record, close) =>
            {
                if let Some(slot) = number(close, "slot") {
                    held.retain(|held| *held != slot);
                }
            }
            _ => {}
        }
    }
    if held.is_empty() {
        return Ok(());
    }
    let mut kernel = record.last_lines(of_ops(&["ACCEPT", "CLOSE"]));
    kernel.push(format!("never closed: slot {}", held[0]));
    Err(record.fail(ids::NOT_CLOSED).kernel(kernel).rule(format!(
        "{} of the slots that clients were accepted into were never closed. A cancel ends \
         operations, and no connection: every slot needs a close, also that of a client who is \
         accepted while the cancel is on its way.",
        held.len()
    )))
}
