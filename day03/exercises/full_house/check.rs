//! `full_house`: four slots and more clients than that; the server accepts all of them in the end.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use common::text::several;

use crate::exercise::prelude::*;

const GREETING: &[u8] = b"come in\n";
const SLOTS: usize = 4;
/// How long the clients in slots stay in one of the tests.
const A_WHILE: Duration = Duration::from_millis(800);

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let mut clients = 1;
    for wave in 1..=2 {
        let count = attempt.number(9..=13) as usize;
        let did = format!(
            "{count} clients connect at once (wave {wave}); there are four slots."
        );
        run.did(&did);
        pause(&run);
        let came: Result<_, _> = (0..count).map(|_| run.connect()).collect();
        resume(&run);
        visit(attempt, &mut run, came?, &did)?;
        clients += count;
        as_given(&run.record())?;
        let did = format!("{did} All of them have left.");
        need_free_slots(&mut run, &did)?;
    }
    let client = run.connect()?;
    let did = "All clients have left, and another one connects.";
    expect(&mut run, &client, GREETING, did)
        .map_err(|failure| not_greeted(&run, failure))?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        expect(run, &client, GREETING, did)?;
        leaves(run, &client, did)
    })?;
    let record = run.stop();
    nobody_dropped(&record)?;
    need_served(&record, clients, (clients * GREETING.len()) as u64)?;
    Ok(Passed::new(format!(
        "{clients} clients came, at most four at a time had a slot, and no accept failed for lack \
         of a free slot."
    ))
    .measured(measured))
}

/// Each client waits for its greeting. When four have a slot, one of them leaves.
fn visit(
    attempt: &Attempt,
    run: &mut Run,
    mut came: VecDeque<TcpStream>,
    did: &str,
) -> Result<(), Failure> {
    let mut inside: Vec<TcpStream> = Vec::new();
    let way = attempt.number(0..=3) as usize;
    for nth in 1..=came.len() {
        if inside.len() == SLOTS {
            if nth == SLOTS + 1 {
                std::thread::sleep(own_time(&run.record()).max(A_WHILE));
                sleeps(run)?;
            }
            still_in(run, &inside, did)?;
            none_of_these(run, &came, did)?;
            let leaver = attempt.number(0..=SLOTS as u64 - 1) as usize;
            leave(attempt, way + nth, inside.swap_remove(leaver));
        }
        let Some(client) = came.pop_front() else { break };
        let did = format!("{did} Client {nth} waits for its turn.");
        expect(run, &client, GREETING, &did)
            .map_err(|failure| not_greeted(run, failure))?;
        // A client that sends something keeps its slot.
        send(run, &client, attempt.word(9).as_bytes(), &did)?;
        inside.push(client);
    }
    std::thread::sleep(Duration::from_millis(30));
    still_in(run, &inside, did)?;
    let leavers = inside.into_iter().enumerate();
    leavers.for_each(|(nth, client)| leave(attempt, way + nth, client));
    Ok(())
}

/// Ends a client in one of several ways.
fn leave(attempt: &Attempt, way: usize, client: TcpStream) {
    use std::io::Write;
    match way % 4 {
        0 => testkit::reset(client),
        1 => _ = (&client).write_all(attempt.word(20).as_bytes()),
        2 => _ = client.shutdown(Shutdown::Write),
        _ => drop(client),
    }
}

fn as_given(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    need_quiet_closes(record)?;
    need_table(record, SLOTS as u64)
}

/// Fails if a client without a slot received anything.
fn none_of_these(
    run: &mut Run,
    waiting: &VecDeque<TcpStream>,
    did: &str,
) -> Result<(), Failure> {
    let Some(what) = waiting.iter().find_map(glance) else { return Ok(()) };
    run.did(format!(
        "{did} Four clients have a slot, and a waiting client got {what}."
    ));
    let record = run.record();
    nobody_dropped(&record)?;
    as_given(&record)?;
    let kernel = record.last_lines(of_ops(&["ACCEPT", "CLOSE"]));
    Err(record.fail(ids::AS_GIVEN).kernel(kernel).rule(
        "At most four clients may be in at a time; the others wait in the backlog. A client \
         occupies its slot until it has left.",
    ))
}

/// Fails if a client in a slot is no longer connected.
fn still_in(
    run: &mut Run,
    inside: &[TcpStream],
    did: &str,
) -> Result<(), Failure> {
    let Some(what) = inside.iter().find_map(glance) else { return Ok(()) };
    run.did(format!("{did} A client that has not left got {what}."));
    let failure = thrown_out(&run.record());
    if !what.starts_with('"') {
        return Err(failure);
    }
    Err(Failure { id: ids::WRONG_ANSWER, ..failure }.rule(
        "A client gets its greeting once, and nothing else, even if it sends something.",
    ))
}

fn thrown_out(record: &Record) -> Failure {
    let kernel = record.last_lines(of_ops(&["ACCEPT", "CLOSE", "SHUTDOWN"]));
    record.fail(ids::LOST).kernel(kernel).rule(
        "The server must keep a client until the client leaves, even if that takes long. Three \
         faults end a connection too early: an accept into a taken slot, a close of the wrong \
         slot, and a deadline.",
    )
}

/// Explains why a client got no greeting.
fn not_greeted(run: &Run, failure: Failure) -> Failure {
    let record = run.record();
    if let Err(other) = as_given(&record).and_then(|()| nobody_dropped(&record))
    {
        return Failure { client: failure.client, ..other };
    }
    if failure.rule == EARLY_END {
        return thrown_out(&record).client(failure.client);
    }
    if !waits(&failure) {
        return failure;
    }
    let inside: Vec<_> =
        record.served().into_iter().filter(|it| it.left.is_none()).collect();
    let taken = run.slots().map_or(0, |slots| slots.len());
    let (id, rule) = if inside.iter().any(|client| client.sent == 0) {
        (
            ids::NO_ANSWER,
            "The client has a slot, and the program sent nothing to it. Send the greeting when a \
             client gets its slot, and do not wait for its first bytes.",
        )
    } else if let Some(slot) = deaf(&record) {
        return Failure { id: ids::NOT_CLOSED, ..failure }
            .kernel(record.last_lines(of_ops(&["RECV", "READ", "CLOSE"])))
            .rule(format!(
                "The client in slot {slot} sent something, and no receive from it followed. Only a \
                 receive shows that the client leaves: after each one that brought bytes, submit \
                 another."
            ));
    } else if inside.len() >= SLOTS {
        (
            ids::NOT_CLOSED,
            "A client has left and its slot was never closed, so no other client gets the slot. A \
             receive that completes with 0 or with an error means that its client has left.",
        )
    } else if taken >= SLOTS {
        (
            ids::NO_ANSWER,
            "All slots of the table are taken, but not all of them by clients. The four slots are \
             for clients: keep the listener out of the table.",
        )
    } else {
        (
            ids::NO_ANSWER,
            "A slot is free, and the client stays in the backlog. For each slot that becomes free, \
             submit another accept.",
        )
    };
    let mut kernel = record.last_lines(of_ops(&["RECV", "CLOSE", "ACCEPT"]));
    kernel.push(format!(
        "now: {} clients in slots, {taken} slots taken",
        inside.len()
    ));
    Failure { id, ..failure }.kernel(kernel).rule(rule)
}

/// A slot whose last receive brought bytes, with no receive after it.
fn deaf(record: &Record) -> Option<u64> {
    let takes = |op: &str| ["RECV", "READ"].contains(&op);
    let slots: HashMap<u64, u64> = record
        .submits()
        .filter(|it| takes(&it.op))
        .filter_map(|it| Some((it.seq, number(it, "slot")?)))
        .collect();
    let mut deaf = BTreeSet::new();
    for event in &record.events {
        match &event.what {
            What::Submit(it) => {
                if let Some(slot) = number(it, "slot") {
                    deaf.remove(&slot);
                }
            }
            What::Complete(it) if it.res > 0 && !it.more => {
                if let Some(slot) = it.seq.and_then(|seq| slots.get(&seq)) {
                    deaf.insert(*slot);
                }
            }
            _ => {}
        }
    }
    deaf.pop_first()
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
        "An accept first takes a client from the backlog and then looks for a slot. If there is \
         none, it fails with ENFILE and the client is lost; here {} were lost. Have no more \
         accepts in flight than free slots, and let no accept take more than one client.",
        several(dropped, "client")
    )))
}
