//! `chain`: receive, send and close go in together, and a client costs one call.

use std::net::Shutdown;
use std::thread::sleep;
use std::time::Duration;

use crate::exercise::prelude::*;

const LENGTH: usize = 16;
const CUT: &str = "A chain is cut where a submit ends: what comes with the next one was not linked to \
                   this entry any more, and did not wait for it. Before the first of three entries, \
                   make room for all three (`Queues::room_for(3)`).";

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let clients = attempt.number(20..=30);
    let did = format!("{clients} clients came, one after the other.");
    let before = run.record().summary.enters;
    let served = one_by_one(&mut run, clients - 1, |run| {
        let client = run.connect()?;
        let word = attempt.word(LENGTH);
        echo(run, &client, word.as_bytes(), &did)?;
        expect_end(run, &client, &did)
    });
    let calls = run.record().summary.enters - before;
    let few = clients + clients / 4 + 4;
    let done = served.and_then(|measured| {
        need_slots(&run.record())?;
        linked(&mut run, &did)?;
        if calls > few {
            return Err(too_many(&mut run, calls, clients, &did));
        }
        in_pieces(attempt, &mut run)?;
        many(attempt, &mut run)?;
        unfinished(attempt, &mut run)?;
        Ok(measured)
    });
    let measured = done.map_err(|failure| explain(&mut run, failure))?;
    sleeps_but_for(&mut run, 5)?;
    need_slots(&run.record())?;
    run.stop();
    Ok(Passed::new(format!(
        "{calls} calls for {clients} clients, one after the other."
    ))
    .measured(measured))
}

fn links(submit: &Submit) -> bool {
    submit.flags.iter().any(|flag| flag.contains("LINK"))
}

fn skips(submit: &Submit) -> bool {
    submit.flags.iter().any(|flag| flag.contains("SKIP"))
}

fn receives(record: &Record) -> Vec<&Submit> {
    let ops = ["RECV", "RECVMSG", "READ", "READV", "READ_FIXED"];
    record.submits().filter(|it| ops.contains(&it.op.as_str())).collect()
}

/// The receives are linked to what follows them.
fn linked(run: &mut Run, did: &str) -> Result<(), Failure> {
    let record = run.record();
    let receives = receives(&record);
    let linked = receives.iter().filter(|it| links(it)).count();
    if receives.is_empty() && record.summary.unseen_entries > 0 {
        return Err(Failure::not_observed("too many entries went by unread"));
    }
    if linked > 0 && linked * 2 > receives.len() {
        return Ok(());
    }
    run.did(did);
    let lines = record.last_lines(of_ops(&["RECV", "SEND", "CLOSE"]));
    Err(run.record().fail(ids::NOT_LINKED).kernel(lines).rule(
        "Receive, send and close are known when the client is accepted: link them \
         (IOSQE_IO_LINK), so that the kernel starts each when the one before has succeeded. \
         Without a link those that go in together are started together.",
    ))
}

fn too_many(run: &mut Run, calls: u64, clients: u64, did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    let lines = record.last_lines(of_requests);
    record.fail(ids::ENTERS).kernel(lines).rule(format!(
        "{calls} calls for {clients} clients. {}",
        if record.submits().any(skips) {
            "An entry of the chain still completes, or a call does not wait. If all three entries \
             skip their success, the next completion is that of the next client."
        } else {
            "Every completion ends a wait. Set IOSQE_CQE_SKIP_SUCCESS on entries whose success the \
             program need not see."
        }
    ))
}

/// A request in two pieces is one request.
fn in_pieces(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let did = "A client sends its sixteen bytes in two pieces.";
    let client = run.connect()?;
    let word = attempt.word(LENGTH);
    send(run, &client, &word.as_bytes()[..7], did)?;
    sleep(Duration::from_millis(50));
    send(run, &client, &word.as_bytes()[7..], did)?;
    expect(run, &client, word.as_bytes(), did).map_err(|failure| {
        ruled(failure, ids::WRONG_ANSWER,
            "The send ran when only a part of the request was there, and sent what lay behind it. \
             Without MSG_WAITALL a receive of fewer bytes has succeeded."
        )
    })?;
    expect_end(run, &client, did)
}

/// Clients that end or reset their connections before the sixteenth byte.
fn unfinished(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    for length in [5, 0] {
        let did = format!(
            "A client sends {length} of its sixteen bytes and ends its side."
        );
        let client = run.connect()?;
        send(run, &client, attempt.word(length).as_bytes(), &did)?;
        client
            .shutdown(Shutdown::Write)
            .map_err(|error| trouble(run, &did, &error))?;
        expect_end(run, &client, &did).map_err(broken)?;
    }
    let did = "Clients end or reset their connections before sixteen bytes.";
    for length in [3, 0] {
        let client = run.connect()?;
        send(run, &client, attempt.word(length).as_bytes(), did)?;
        sleep(Duration::from_millis(10));
        testkit::reset(client);
    }
    need_free_slots(run, did).map_err(broken)
}

fn broken(failure: Failure) -> Failure {
    let failure = ruled(
        failure,
        ids::WRONG_ANSWER,
        "The client sent less than sixteen bytes and got some: the send ran although the receive \
         had failed, and what it sent was in part another client's. Only a plain link (IO_LINK) \
         stops a chain at a failure; and only with MSG_WAITALL is a short receive one.",
    );
    ruled(
        failure,
        ids::NOT_CLOSED,
        "When an entry of a chain fails, those behind it are dropped, the close among them. The \
         entry that failed (the receive or the send) completes, although success is skipped: \
         close the slot then.",
    )
}

/// Many come together and are silent at first. Then the last one alone sends, then all others,
/// some of whom are gone when the answer is due.
fn many(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let count = attempt.number(36..=44) as usize;
    let did = format!(
        "Two clients reset their connections, and {count} others come at once and are silent."
    );
    run.did(&did);
    let accepted = |record: &Record| record.completes().filter(brought).count();
    let before = accepted(&run.record());
    let leave = [run.connect()?, run.connect()?];
    let served =
        |record: &Record| receives(record).len() >= before + leave.len();
    seen(run, PATIENCE / 5, served);
    let all = before + leave.len() + count;
    let came = at_once(run, |run| {
        // The entries that close their slots go in with the chains of the others.
        leave.into_iter().for_each(testkit::reset);
        (0..count).map(|_| run.connect()).collect::<Result<Vec<_>, _>>()
    });
    let mut clients = came?;
    seen(run, PATIENCE, |record| accepted(record) >= all);
    sleep(Duration::from_millis(50));
    for client in &clients {
        let Some(what) = glance(client) else { continue };
        run.did(format!("{did} One of them got {what}."));
        let record = run.record();
        let lines = record.last_lines(of_ops(&["SEND"]));
        return Err(record.fail(ids::LINK_CUT).kernel(lines).rule(CUT));
    }
    let word = attempt.word(LENGTH);
    let did = format!("{did} Then the last of them sends.");
    let last = clients.split_off(count - 1);
    echo(run, &last[0], word.as_bytes(), &did)?;
    expect_end(run, &last[0], &did)?;
    let did =
        format!("{did} Then all others do, and some reset their connections.");
    run.did(&did);
    let words: Vec<String> =
        clients.iter().map(|_| attempt.word(LENGTH)).collect();
    let stayed = at_once(run, |run| {
        for (client, word) in clients.iter().zip(&words) {
            send(run, client, word.as_bytes(), &did)?;
        }
        clients.drain(..8).for_each(testkit::reset);
        Ok(())
    });
    stayed?;
    for (client, word) in clients.iter().zip(&words[8..]) {
        expect(run, client, word.as_bytes(), &did).map_err(|failure| {
            ruled(failure, ids::WRONG_ANSWER,
                "Those are another client's bytes, or old ones. Each slot needs its own memory for \
                 its request, which the program does not change until the send has ended."
            )
        })?;
        expect_end(run, client, &did)?;
    }
    need_free_slots(run, &did).map_err(broken)
}

/// The entry that carries a link although its submit ends with it.
fn cut(record: &Record) -> Option<u64> {
    let mut last = None;
    for event in &record.events {
        match &event.what {
            What::Submit(submit) => last = links(submit).then_some(submit.seq),
            What::Enter(_) if last.is_some() && !record.summary.polled => {
                return last;
            }
            _ => {}
        }
    }
    None
}

/// A failure with another rule, if it has that id.
fn ruled(failure: Failure, id: ids::Id, rule: &str) -> Failure {
    if failure.id == id { failure.rule(rule) } else { failure }
}

/// What became of a client, by what went into the ring for it.
fn explain(run: &mut Run, failure: Failure) -> Failure {
    const OF_CLIENTS: &[ids::Id] = &[
        ids::WRONG_ANSWER,
        ids::LOST,
        ids::RESET,
        ids::NOT_CLOSED,
        ids::HELD_UP,
        ids::NO_ANSWER,
    ];
    if !OF_CLIENTS.contains(&failure.id) && !waits(&failure) {
        return failure;
    }
    if let Err(loose) = linked(run, &failure.client) {
        return if loose.is_not_observed() { failure } else { loose };
    }
    let record = run.record();
    let drains =
        |it: &Submit| it.flags.iter().any(|flag| flag.contains("DRAIN"));
    if record.submits().any(drains) {
        return Failure { id: ids::HELD_UP, ..failure }.rule(
            "An entry with IOSQE_IO_DRAIN waits for all that went in before it, whosever they \
             are, the accept among them. A link orders the entries of one client only.",
        );
    }
    if record.submitted("CLOSE").into_iter().any(links) {
        return Failure { id: ids::HELD_UP, ..failure }
            .kernel(record.last_lines(of_ops(&["CLOSE", "RECV"])))
            .rule(
                "The last entry of a chain, the close, is linked to the first of the next: one \
                 client waits for another, or is dropped with it. A link goes to whatever entry \
                 comes next in the same submit; the last of a chain carries none.",
            );
    }
    if let Some(seq) = cut(&record) {
        let near = |what: &What| matches!(what, What::Submit(it) if it.seq.abs_diff(seq) <= 1);
        let kernel = record.lines_at_most(3, near);
        return Failure { id: ids::LINK_CUT, ..failure }
            .kernel(kernel)
            .rule(CUT);
    }
    if !record.submitted("LINK_TIMEOUT").is_empty() {
        return Failure { id: ids::DEADLINE, ..failure }
            .kernel(record.last_lines(of_ops(&["LINK_TIMEOUT", "RECV"])))
            .rule(
                "A LINK_TIMEOUT ends the chain of a client that is silent for a while. No time \
                 limit was asked for: it may be silent for as long as it likes.",
            );
    }
    let sends = record.submitted("SEND");
    if failure.rule == EARLY_END && sends.iter().any(|it| !links(it)) {
        return failure.kernel(record.last_lines(of_ops(&["SEND", "CLOSE"]))).rule(
            "The send carries no link, so the close does not wait for it. A link is on the entry \
             that the next one waits for: here on the receive and on the send.",
        );
    }
    let receives = receives(&record);
    let more =
        receives.iter().find(|it| number(it, "bytes") > Some(LENGTH as u64));
    match more {
        Some(more) if waits(&failure) => {
            let seq = more.seq;
            let line = record.lines(
                |what| matches!(what, What::Submit(it) if it.seq == seq),
            );
            failure.kernel(line).rule(
                "The receive waits for more than the sixteen bytes of a request: with MSG_WAITALL \
                 it completes when all that it asks for is there.",
            )
        }
        _ => failure,
    }
}
