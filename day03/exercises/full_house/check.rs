//! `full_house`: four slots, more clients than that in the backlog, and everybody gets in.

use std::collections::VecDeque;
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::exercise::prelude::*;

const GREETING: &[u8] = b"come in\n";
const SLOTS: usize = 4;
/// How long those who are in stay in, once.
const A_WHILE: Duration = Duration::from_millis(800);
const THROWN_OUT: &str = "Whoever is in stays until he leaves. An accept into a slot that is taken \
                          throws out the client who sits there; a close of the wrong slot does too.";

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let mut clients = 0;
    for wave in 1..=2 {
        let count = attempt.number(9..=13) as usize;
        let did = format!(
            "{count} clients connect at once (wave {wave}); there are four slots."
        );
        run.did(&did);
        pause(&run);
        let came: Result<Vec<TcpStream>, Failure> =
            (0..count).map(|_| run.connect()).collect();
        resume(&run);
        visit(attempt, &mut run, came?, &did)?;
        clients += count;
        need_slots(&run.record())?;
        need_table(&run.record(), SLOTS as u64)?;
        need_free_slots(
            &mut run,
            &format!("{did} All of them have left again."),
        )?;
    }
    let client = run.connect()?;
    let did = "A client comes when the house is empty again.";
    expect(&mut run, &client, GREETING, did)
        .map_err(|failure| lost(&run.record(), failure))?;
    let record = run.stop();
    nobody_dropped(&record)?;
    Ok(Passed::new(format!(
        "{} clients came, four at a time were in, and no accept ever failed for want of a slot.",
        clients + 1
    )))
}

/// Each client waits to be greeted; when four are in, one of them leaves.
fn visit(
    attempt: &Attempt,
    run: &mut Run,
    came: Vec<TcpStream>,
    did: &str,
) -> Result<(), Failure> {
    let mut inside: Vec<TcpStream> = Vec::new();
    let mut way = attempt.number(0..=3);
    let mut came = VecDeque::from(came);
    let mut nth = 0;
    while let Some(client) = came.pop_front() {
        if inside.len() == SLOTS {
            if nth == SLOTS {
                // Whoever is in stays, however long.
                std::thread::sleep(A_WHILE);
                sleeps(run)?;
            }
            still_in(run, &inside, did)?;
            no_more_than_four(run, std::iter::once(&client).chain(&came), did)?;
            let leaver = inside
                .swap_remove(attempt.number(0..=SLOTS as u64 - 1) as usize);
            still_in(run, &inside, did)?;
            way += 1;
            leave(run, attempt, way, leaver, did)?;
        }
        nth += 1;
        let did = format!("{did} Client {nth} waits for its turn.");
        expect(run, &client, GREETING, &did)
            .map_err(|failure| lost(&run.record(), failure))?;
        // Whoever says something stays all the same.
        send(run, &client, attempt.word(9).as_bytes(), &did)?;
        inside.push(client);
    }
    std::thread::sleep(Duration::from_millis(30));
    still_in(run, &inside, did)?;
    inside
        .into_iter()
        .zip(way..)
        .try_for_each(|(it, way)| leave(run, attempt, way, it, did))
}

/// In one of the ways in which clients leave.
fn leave(
    run: &mut Run,
    attempt: &Attempt,
    way: u64,
    client: TcpStream,
    did: &str,
) -> Result<(), Failure> {
    match way % 4 {
        0 => testkit::reset(client),
        1 => {
            let did =
                format!("{did} One that is in says something and leaves.");
            send(run, &client, attempt.word(20).as_bytes(), &did)?;
        }
        2 => {
            // A half-close: the server is to end its side too, or at least to close the slot.
            let _ = client.shutdown(Shutdown::Write);
        }
        _ => drop(client),
    }
    Ok(())
}

/// Those who wait for their turn have heard nothing.
fn no_more_than_four<'a>(
    run: &mut Run,
    mut waiting: impl Iterator<Item = &'a TcpStream>,
    did: &str,
) -> Result<(), Failure> {
    let Some(what) = waiting.find_map(glance) else { return Ok(()) };
    run.did(format!("{did} Four are in, and one who was to wait got {what}."));
    let record = run.record();
    nobody_dropped(&record)?;
    need_slots(&record).and_then(|()| need_table(&record, SLOTS as u64))?;
    Err(record.fail(ids::AS_GIVEN).kernel(record.last_lines(of_ops(&["ACCEPT", "CLOSE"]))).rule(
        "There are never more than four clients in: whoever finds no slot waits in the backlog. \
         A slot counts until its client has left.",
    ))
}

/// Those who are in have not been thrown out.
fn still_in(
    run: &mut Run,
    inside: &[TcpStream],
    did: &str,
) -> Result<(), Failure> {
    for client in inside {
        if let Some(what) = glance(client) {
            run.did(format!(
                "{did} A client that was in, and had not left, got {what}."
            ));
            let record = run.record();
            return Err(record
                .fail(ids::LOST)
                .kernel(
                    record.last_lines(of_ops(&["ACCEPT", "CLOSE", "SHUTDOWN"])),
                )
                .rule(THROWN_OUT));
        }
    }
    Ok(())
}

/// A client that was not greeted: was it dropped?
fn lost(record: &Record, failure: Failure) -> Failure {
    if let Err(failure) =
        need_slots(record).and_then(|()| need_table(record, SLOTS as u64))
    {
        return failure;
    }
    match nobody_dropped(record) {
        Err(dropped) => Failure { client: failure.client, ..dropped },
        Ok(()) if failure.rule == EARLY_END => {
            Failure { id: ids::LOST, ..failure }.rule(THROWN_OUT)
        }
        Ok(()) if waits(&failure) && held(record) >= SLOTS => {
            let kernel = record.last_lines(of_ops(&["RECV", "CLOSE"]));
            Failure { id: ids::NOT_CLOSED, ..failure }.kernel(kernel).rule(
                "A client has left and its slot was never closed, so nobody else gets it. A \
                 receive that ends with 0 or with an error, whichever, is the end of its client.",
            )
        }
        Ok(()) if waits(&failure) => Failure { id: ids::NO_ANSWER, ..failure }.rule(
            "A slot is free, and the client in the backlog is not let in. Every slot that comes \
             free needs an accept of its own.",
        ),
        Ok(()) => failure,
    }
}

/// Slots that were filled and not closed.
fn held(record: &Record) -> usize {
    let closed =
        record.completed("CLOSE").iter().filter(|close| close.res == 0).count();
    record.completes().filter(brought).count().saturating_sub(closed)
}

fn nobody_dropped(record: &Record) -> Result<(), Failure> {
    let full = |what: &What| {
        matches!(what, What::Complete(it)
        if it.op.as_deref() == Some("ACCEPT") && it.error.as_deref() == Some("ENFILE"))
    };
    let dropped =
        record.events.iter().filter(|event| full(&event.what)).count();
    if dropped == 0 {
        return Ok(());
    }
    Err(record.fail(ids::LOST).kernel(record.lines(full)).rule(format!(
        "An accept takes its client off the backlog first and looks for a slot then. With ENFILE \
         that client is gone: {dropped} of them here. Have no more accepts in flight than there \
         are free slots, and none that accepts more than one.",
    )))
}
