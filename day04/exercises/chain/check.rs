//! `chain`: the program submits receive, send and close together, so that a client costs one call.

use std::net::Shutdown;
use std::thread::sleep;
use std::time::Duration;

use crate::exercise::prelude::*;

const LENGTH: usize = 16;
const CUT: &str = "A chain ends where a submit ends: the entries of the next submit were not \
                   linked to this one, and did not wait for it. Before the first of three entries, \
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

/// Fails if a receive is not linked to the next entry.
fn linked(run: &mut Run, did: &str) -> Result<(), Failure> {
    let record = run.record();
    let receives = receives(&record);
    let linked = receives.iter().filter(|it| links(it)).count();
    if receives.is_empty() && record.summary.unseen_entries > 0 {
        return Err(Failure::not_observed(
            "the tracer missed too many entries",
        ));
    }
    if linked > 0 && linked * 2 > receives.len() {
        return Ok(());
    }
    run.did(did);
    let lines = record.last_lines(of_ops(&["RECV", "SEND", "CLOSE"]));
    Err(run.record().fail(ids::NOT_LINKED).kernel(lines).rule(
        "Submit receive, send and close as soon as the client is accepted, and link them \
         (IOSQE_IO_LINK): the kernel then starts each when the one before it has succeeded. \
         Without a link it starts the entries of one submit together.",
    ))
}

fn too_many(run: &mut Run, calls: u64, clients: u64, did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    let lines = record.last_lines(of_requests);
    record.fail(ids::ENTERS).kernel(lines).rule(format!(
        "{calls} calls for {clients} clients. {}",
        if record.submits().any(skips) {
            "An entry of the chain still posts a completion, or a call does not wait. If all three \
             entries skip the completion of a success, the next completion is that of the next \
             client."
        } else {
            "Every completion ends a wait. Set IOSQE_CQE_SKIP_SUCCESS on entries whose success \
             does not matter to the program."
        }
    ))
}

/// A request in two pieces must get one answer.
fn in_pieces(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let did = "A client sends its sixteen bytes in two pieces.";
    let client = run.connect()?;
    let word = attempt.word(LENGTH);
    send(run, &client, &word.as_bytes()[..7], did)?;
    sleep(Duration::from_millis(50));
    send(run, &client, &word.as_bytes()[7..], did)?;
    expect(run, &client, word.as_bytes(), did).map_err(|failure| {
        ruled(failure, ids::WRONG_ANSWER,
            "The send ran when only a part of the request had arrived, and sent old bytes behind \
             that part. Without MSG_WAITALL a receive of fewer bytes counts as a success."
        )
    })?;
    expect_end(run, &client, did)
}

/// Clients end or reset their connections before the sixteenth byte.
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
        "The client sent fewer than sixteen bytes, and got an answer: the send ran although the \
         receive was short, and sent bytes of another client. Use a plain link (IO_LINK), which \
         stops the chain at a failure, and MSG_WAITALL, with which a short receive is a failure.",
    );
    ruled(
        failure,
        ids::NOT_CLOSED,
        "When an entry of a chain fails, the kernel cancels the entries behind it, and with them \
         the close. The failed entry (the receive or the send) posts a completion even with \
         IOSQE_CQE_SKIP_SUCCESS: close the slot then.",
    )
}

/// Many clients connect together and send nothing at first. Then the last client sends, then all
/// others. Some have left before their answer.
fn many(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    let count = attempt.number(36..=44) as usize;
    let did = format!(
        "Two clients reset their connections, and {count} others connect at once and send nothing."
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
        // The program submits their closes together with the chains of the others.
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
    let did = format!(
        "{did} Then all others send, and some reset their connections."
    );
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
                "These are another client's bytes, or old ones. Each slot needs its own memory for \
                 its request; do not change it until the send has ended."
            )
        })?;
        expect_end(run, client, &did)?;
    }
    need_free_slots(run, &did).map_err(broken)
}

/// The entry that carries a link although it is the last of its submit.
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

/// Explains a failure by the entries that the program submitted for the client.
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
            "An entry with IOSQE_IO_DRAIN waits for all earlier entries, also those of other \
             clients and the accept. A link orders the entries of one client only.",
        );
    }
    if record.submitted("CLOSE").into_iter().any(links) {
        return Failure { id: ids::HELD_UP, ..failure }
            .kernel(record.last_lines(of_ops(&["CLOSE", "RECV"])))
            .rule(
                "The last entry of a chain, the close, is linked to the first entry of the next \
                 chain: one client waits for another, or is cancelled with it. A link goes to the \
                 next entry of the same submit, so the last entry of a chain must not carry one.",
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
                "A LINK_TIMEOUT ends the chain of a client that sends nothing for a while. This \
                 exercise has no time limit: leave the timeout out.",
            );
    }
    let sends = record.submitted("SEND");
    if failure.rule == EARLY_END && sends.iter().any(|it| !links(it)) {
        return failure.kernel(record.last_lines(of_ops(&["SEND", "CLOSE"]))).rule(
            "The send carries no link, so the close does not wait for it. Set the link on the \
             entry for which the next one waits: here on the receive and on the send.",
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
                "The receive asks for more than the sixteen bytes of a request. With MSG_WAITALL \
                 it completes only when all these bytes have arrived.",
            )
        }
        _ => failure,
    }
}
