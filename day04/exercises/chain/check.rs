//! `chain`: receive, send and close go in together, and a client costs one call.

use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::exercise::prelude::*;

const LENGTH: usize = 16;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let clients = attempt.number(20..=30);
    let did = format!("{clients} clients came, one after the other.");
    let before = run.record().summary.enters;
    for _ in 0..clients {
        // So that the server sleeps when the next one comes.
        std::thread::sleep(Duration::from_millis(8));
        let client = run.connect()?;
        talk(attempt, &mut run, &client, &did)
            .map_err(|failure| loose(&run.record()).unwrap_or(failure))?;
    }
    let record = run.record();
    need_slots(&record)?;
    let calls = record.summary.enters - before;
    if calls > clients + clients / 4 + 4 {
        run.did(did);
        return Err(too_many(&run.record(), calls, clients));
    }
    linked(&record, clients)?;
    broken(attempt, &mut run)
        .and_then(|()| at_once(attempt, &mut run))
        .map_err(|failure| loose(&run.record()).unwrap_or(failure))?;
    let before = run.record().summary.enters;
    std::thread::sleep(Duration::from_millis(300));
    let idle = run.record().summary.enters - before;
    if idle > 3 {
        run.did("Nobody is there, and nothing happens.");
        let record = run.record();
        return Err(record.fail(ids::ENTERS).kernel(record.last_lines(of_requests)).rule(format!(
            "{idle} calls in a moment in which nothing happened: wait for the next client."
        )));
    }
    sleeps(&mut run)?;
    need_slots(&run.record())?;
    run.stop();
    Ok(Passed::new(format!(
        "{calls} calls for {clients} clients, one after the other."
    )))
}

fn talk(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let word = attempt.word(LENGTH);
    send(run, client, word.as_bytes(), did)?;
    expect(run, client, word.as_bytes(), did)?;
    expect_end(run, client, did)
}

/// The three go in together, and nothing makes them wait for each other.
fn loose(record: &Record) -> Option<Failure> {
    let submits: Vec<_> = record.submits().collect();
    let pair = submits.windows(2).find(|pair| {
        pair[0].op == "RECV"
            && pair[1].op == "SEND"
            && pair[0].details.get("slot") == pair[1].details.get("slot")
            && record.answers(pair[0].seq).iter().all(|it| it.res <= 0)
            && !pair[0].flags.iter().any(|flag| flag.contains("LINK"))
    })?;
    let seqs = [pair[0].seq, pair[1].seq];
    let lines = record.lines(
        |what| matches!(what, What::Submit(it) if seqs.contains(&it.seq)),
    );
    Some(record.fail(ids::NOT_LINKED).kernel(lines).rule(
        "Entries that go in together are started together: the send does not wait for the \
         receive, and the close for neither. IOSQE_IO_LINK makes the next entry wait until this \
         one has succeeded.",
    ))
}

/// Few calls alone are no chain: with a kernel thread that polls there are hardly any.
fn linked(record: &Record, clients: u64) -> Result<(), Failure> {
    let link = |flag: &String| flag.contains("LINK");
    let chains =
        record.submits().filter(|it| it.flags.iter().any(link)).count() as u64;
    let told =
        record.completed("SEND").iter().filter(|it| it.res > 0).count() as u64;
    if chains >= clients && told < clients {
        return Ok(());
    }
    if chains < clients && record.summary.unseen_entries > 0 {
        return Err(Failure::not_observed("too many entries went by unread"));
    }
    let requests = record.last_lines(of_ops(&["RECV", "SEND", "CLOSE"]));
    Err(record.fail(ids::NOT_LINKED).kernel(requests).rule(
        "There are few calls, but no chain: every client still takes a turn of the loop for each \
         step. Link receive, send and close, and let them skip their success.",
    ))
}

fn too_many(record: &Record, calls: u64, clients: u64) -> Failure {
    let linked = |op: &str| {
        record
            .submitted(op)
            .iter()
            .any(|it| it.flags.iter().any(|flag| flag.contains("LINK")))
    };
    let skips = record
        .submits()
        .any(|it| it.flags.iter().any(|flag| flag.contains("SKIP")));
    let chained = linked("RECV") || linked("READ");
    let id = if chained { ids::ENTERS } else { ids::NOT_LINKED };
    record.fail(id).kernel(record.last_lines(of_requests)).rule(format!(
        "{calls} calls for {clients} clients. {}",
        if !chained {
            "Receive, send and close are known when the client is accepted: link them, so that \
             the kernel starts each when the one before has succeeded, and submit them together."
        } else if !skips {
            "Every completion ends a wait. Entries of which nobody wants to hear success carry \
             IOSQE_CQE_SKIP_SUCCESS."
        } else {
            "Some entry of the chain still completes, or some call does not wait. If all three \
             skip their success, the next thing to hear of is the next client."
        }
    ))
}

/// Clients with whom the chain breaks, or takes its time.
fn broken(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let did = "A client sends its sixteen bytes in two pieces.";
    let client = run.connect()?;
    let word = attempt.word(LENGTH);
    send(run, &client, &word.as_bytes()[..7], did)?;
    std::thread::sleep(Duration::from_millis(50));
    send(run, &client, &word.as_bytes()[7..], did)?;
    expect(run, &client, word.as_bytes(), did).map_err(|failure| {
        mixed_up(
            failure,
            "The send ran when only a part of the request was there, and sent what lay behind \
             it. Without MSG_WAITALL a receive of fewer bytes has succeeded.",
        )
    })?;
    expect_end(run, &client, did)?;

    for length in [5, 0] {
        let did = format!(
            "A client sends {length} of its sixteen bytes and ends its side."
        );
        let client = run.connect()?;
        send(run, &client, attempt.word(length).as_bytes(), &did)?;
        client
            .shutdown(Shutdown::Write)
            .map_err(|error| trouble(run, &did, &error))?;
        expect_end(run, &client, &did)
            .map_err(|failure| unfinished(&run.record(), failure))?;
    }
    for length in [3, 0] {
        let client = run.connect()?;
        send(
            run,
            &client,
            attempt.word(length).as_bytes(),
            "A client resets its connection.",
        )?;
        std::thread::sleep(Duration::from_millis(10));
        testkit::reset(client);
    }
    let did = "Clients came who ended or reset their connections before sixteen bytes.";
    need_free_slots(run, did)
        .map_err(|failure| unfinished(&run.record(), failure))
}

fn mixed_up(failure: Failure, rule: &str) -> Failure {
    if failure.id == ids::WRONG_ANSWER { failure.rule(rule) } else { failure }
}

fn unfinished(record: &Record, failure: Failure) -> Failure {
    let lines = || record.last_lines(of_ops(&["RECV", "SEND", "CLOSE"]));
    match failure.id {
        ids::WRONG_ANSWER => failure.kernel(lines()).rule(
            "The client sent less than sixteen bytes and got sixteen: the send ran although the \
             receive had failed, and what it sent was in part another client's. Only a plain \
             link (IO_LINK) stops a chain at a failure; and only with MSG_WAITALL is a short \
             receive one.",
        ),
        ids::NOT_CLOSED => failure.kernel(lines()).rule(
            "When an entry of a chain fails, those behind it are dropped, the close among them. \
             The one that failed completes, although success was to be skipped: that is the \
             moment to close the slot.",
        ),
        _ => failure,
    }
}

fn at_once(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let clients = attempt.number(30..=40);
    let did = format!("{clients} clients come and send at once.");
    run.did(&did);
    pause(run);
    let came: Result<Vec<_>, Failure> = (0..clients)
        .map(|_| {
            let client = run.connect()?;
            let word = attempt.word(LENGTH);
            send(run, &client, word.as_bytes(), &did)?;
            Ok((client, word))
        })
        .collect();
    resume(run);
    for (client, word) in came? {
        expect(run, &client, word.as_bytes(), &did).map_err(|failure| {
            mixed_up(
                failure,
                "Those are another client's bytes, or old ones. Each slot needs a place of its \
                 own for its request, which nobody else touches until the send has ended.",
            )
        })?;
        expect_end(run, &client, &did)?;
    }
    need_free_slots(run, &did)
}
