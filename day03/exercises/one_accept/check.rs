//! `one_accept`: a hundred clients come and are let go, and the kernel got one accept entry.

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let clients = attempt.number(90..=110) as usize;
    let mut run = serve(attempt)?;
    let descriptors = run.descriptors()?;
    let mut client = 0;
    let mut visit = |run: &mut Run| {
        client += 1;
        let did = format!(
            "Client {client} of {clients} connects and waits to be let go."
        );
        let stream = run.connect()?;
        expect_end(run, &stream, &did)
            .map_err(|failure| not_let_go(&run.record(), client, failure))
    };
    let measured = one_by_one(&mut run, ALONE, &mut visit)?;
    (ALONE as usize + 1..clients).try_for_each(|_| visit(&mut run))?;
    let did = format!("{clients} clients came, one after the other.");
    run.did(&did);
    sleeps(&mut run)?;
    one_entry(&run.record(), clients)?;
    need_few_descriptors(&mut run, &descriptors, clients, &did)?;
    run.stop();
    Ok(Passed::new(format!("{clients} clients, one ACCEPT entry."))
        .measured(measured))
}

/// The client waits in vain: it was never accepted, or what it brought was not closed.
fn not_let_go(record: &Record, client: usize, failure: Failure) -> Failure {
    if failure.id == ids::WRONG_ANSWER {
        return failure
            .rule("Nothing is sent to the clients; they are let go.");
    }
    if failure.id != ids::NOT_CLOSED {
        return failure;
    }
    if record.completes().filter(brought).count() >= client {
        return failure.rule(
            "The client was accepted and never let go: close the descriptor that the completion \
             of the accept brings.",
        );
    }
    Failure { id: ids::NO_ANSWER, ..failure }
        .rule("The client was not accepted: no accept is armed that takes it.")
}

/// The ring brought all clients, by one multishot accept.
fn one_entry(record: &Record, clients: usize) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_no_plain(&["accept", "accept4"])?;
    record.need_entries("ACCEPT", 1)?;
    let accepts = record.submitted("ACCEPT");
    let completed = record.completed("ACCEPT");
    // One that the kernel has ended is rightly armed again; one that the program has cancelled is
    // not.
    let ended = completed
        .iter()
        .filter(|it| !it.more && it.error.as_deref() != Some("ECANCELED"))
        .count();
    let rule = if !accepts.iter().all(|accept| multishot(accept)) {
        "A plain accept is done with its first client. `AcceptMulti` stays armed and completes \
         once for each."
    } else if accepts.len() > 1 + ended {
        "A multishot accept stays armed as long as its completions carry IORING_CQE_F_MORE: \
         another one only takes clients from the first, and cancelling it for a new one is a \
         single accept in disguise."
    } else {
        return need_served(record, clients, 0);
    };
    Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(record.lines(of_ops(&["ACCEPT"]))).rule(format!(
        "The kernel took {} accept entries for {clients} clients; one is enough. {rule}",
        accepts.len()
    )))
}
