//! `last_orders`: after SIGINT no operation stays in flight, no slot stays taken, and the exit
//! status is 0.

use std::net::TcpStream;

use nix::sys::signal::Signal;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let clients = attempt.number(3..=7) as usize;
    judge(&with_clients(attempt, clients)?)?;
    let (record, measured) = late_comers(attempt)?;
    judge(&record)?;
    let mut empty = serve(attempt)?;
    empty.did("SIGINT comes while no client is in.");
    judge(&empty.interrupt()?)?;
    Ok(Passed::new(format!(
        "{clients} clients saw a clean end; every entry had its last completion before the ring \
         was closed."
    ))
    .measured(measured))
}

fn with_clients(attempt: &Attempt, clients: usize) -> Result<Record, Failure> {
    let mut run = serve(attempt)?;
    let did = format!(
        "{clients} clients are connected, one has sent something, one has left."
    );
    let came: Result<Vec<_>, _> = (0..clients).map(|_| run.connect()).collect();
    let mut came = came?;
    let gone = run.connect()?;
    accepted(&mut run, clients + 1, &did)?;
    send(&mut run, &came[0], attempt.word(9).as_bytes(), &did)?;
    drop(gone);
    let left =
        |record: &Record| record.served().iter().any(|it| it.left.is_some());
    seen(&run, PATIENCE / 5, left);
    if let Some(what) = came.iter().find_map(glance) {
        run.did(format!("{did} Another, which has not left, got {what}."));
        let record = run.record();
        need_slots(&record)?;
        let kernel = record.last_lines(of_ops(&["RECV", "SHUTDOWN", "CLOSE"]));
        return Err(record.fail(ids::LOST).kernel(kernel).rule(
            "Before SIGINT, keep every connection until its client leaves.",
        ));
    }
    sleeps(&mut run)?;
    run.did(format!("{did} SIGINT comes."));
    let record = run.interrupt()?;
    record.need_exit()?;
    need_slots(&record)?;
    came.iter_mut().try_for_each(|client| ended_well(&record, client))?;
    Ok(record)
}

/// Clients that connect at the moment of the signal. The program may accept them or not, but none
/// may stay in a slot.
fn late_comers(attempt: &Attempt) -> Result<(Record, Measured), Failure> {
    let mut run = serve(attempt)?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        leaves(run, &client, "A client comes and leaves.")
    })?;
    let late = attempt.number(3..=8);
    let did = format!(
        "Two clients are in. SIGINT comes, and {late} clients at the same moment."
    );
    let first = [run.connect()?, run.connect()?];
    accepted(&mut run, ALONE as usize + 3, &did)?;
    run.did(&did);
    pause(&run);
    run.signal(Signal::SIGINT);
    let came: Result<Vec<_>, _> = (0..late).map(|_| run.connect()).collect();
    resume(&run);
    let record = run.stopped()?;
    drop((first, came?));
    Ok((record, measured))
}

/// Waits until the kernel has accepted this many clients.
fn accepted(run: &mut Run, clients: usize, did: &str) -> Result<(), Failure> {
    run.did(did);
    let got = |record: &Record| record.completes().filter(brought).count();
    if seen(run, PATIENCE, |record| got(record) >= clients) {
        return Ok(());
    }
    let record = run.record();
    need_slots(&record)?;
    Err(run.no_answer().rule(format!(
        "{clients} clients connected, and the kernel accepted {}.",
        got(&record)
    )))
}

/// The client must see the end of the connection, and no bytes before it.
fn ended_well(record: &Record, client: &mut TcpStream) -> Result<(), Failure> {
    let (got, ending) = read_to_end(client, 64);
    let did = |what: String| format!("{} A client got {what}.", record.did);
    if !got.is_empty() {
        let failure = record.fail(ids::WRONG_ANSWER).client(did(quoted(&got)));
        return Err(failure.rule(
            "Send nothing to the clients, neither before SIGINT nor after it.",
        ));
    }
    let Ending::Broken(error) = ending else { return Ok(()) };
    let kernel = record.last_lines(of_ops(&["CLOSE", "RECV", "SHUTDOWN"]));
    let failure =
        record.fail(ids::RESET).client(did(error.to_string())).kernel(kernel);
    Err(failure.rule(if record.served().iter().all(|it| it.received == 0) {
        "The program did not receive what a client sent. Closing a socket with unread input resets \
         the connection."
    } else {
        "A client must see the end of the connection, not a reset."
    }))
}

/// Judges the end by the kernel's record.
fn judge(record: &Record) -> Result<(), Failure> {
    record.need_exit()?;
    need_slots(record)?;
    record.need_entries("ACCEPT", 1)?;
    nothing_in_flight(record)?;
    need_quiet_closes(record)?;
    slots_closed(record)?;
    all_awaited(record)
}

fn nothing_in_flight(record: &Record) -> Result<(), Failure> {
    let armed =
        record.summary.armed.iter().filter(|it| it.op != "ASYNC_CANCEL");
    let mut kernel: Vec<_> = armed
        .map(|it| format!("in flight at the end: {} {}", it.op, it.words))
        .collect();
    let waiting = record.left().map_or(0, |left| left.waiting.len());
    if kernel.is_empty() && waiting == 0 {
        return Ok(());
    }
    kernel.truncate(2);
    kernel.push(format!(
        "operations that wait in the kernel at the end: {waiting}"
    ));
    let cancels = record.submitted("ASYNC_CANCEL");
    let rule = if cancels.is_empty() {
        "The ring was closed with operations in flight. Until its last completion an operation may \
         write to its memory, and an armed accept still accepts clients. Cancel the operations, \
         and wait for the completion of each."
    } else {
        "Operations were in flight when the ring was closed. A cancel is only a request, to the \
         operations that it names (`CancelBuilder::any()`: all of them). Each of these ends with a \
         completion of its own; until then the kernel may write to its memory."
    };
    Err(record.fail(ids::IN_FLIGHT).kernel(kernel).rule(rule))
}

fn slots_closed(record: &Record) -> Result<(), Failure> {
    let of_clients = record.slots_of_clients();
    let Some(left) = record.left() else {
        return Err(Failure::not_observed(
            "the kernel does not list the taken slots",
        ));
    };
    let held: Vec<_> =
        left.slots.iter().filter(|slot| of_clients.contains(slot)).collect();
    let Some(first) = held.first() else { return Ok(()) };
    let mut kernel =
        record.last_lines(of_ops(&["ACCEPT", "CLOSE", "FILES_UPDATE"]));
    kernel.push(format!("at the end slot {first} is taken"));
    Err(record.fail(ids::NOT_CLOSED).kernel(kernel).rule(format!(
        "At the end {} of the clients' slots were still taken. A cancel ends operations, but no \
         connection: close every slot, also that of a client accepted while the cancel is in \
         flight.",
        held.len()
    )))
}

/// Fails if the program did not take the last completions from the queue. It need not wait for
/// those of cancels and closes.
fn all_awaited(record: &Record) -> Result<(), Failure> {
    let last = ["ASYNC_CANCEL", "CLOSE", "SHUTDOWN", "FILES_UPDATE"];
    let unneeded =
        last.iter().map(|op| record.completed(op).len() as u64).sum::<u64>();
    if record.summary.never_reaped <= unneeded {
        return Ok(());
    }
    record.need_all_reaped().map_err(|failure| {
        failure.rule(
            "The operations had ended when the ring was closed, but the program had not taken \
             their completions from the queue. Do not rely on a pause: only an operation's \
             completion shows that it has ended.",
        )
    })
}
