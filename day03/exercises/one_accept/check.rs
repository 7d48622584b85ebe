//! `one_accept`: a hundred clients connect and are disconnected, by one accept entry.

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let clients = attempt.number(90..=110) as usize;
    let mut run = serve(attempt)?;
    let descriptors = run.descriptors()?;
    let mut client = 0;
    let mut visit = |run: &mut Run| {
        client += 1;
        let did = format!(
            "Client {client} of {clients} connects and waits for the end of its connection."
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

/// Explains why the client's connection does not end: it was never accepted, or its descriptor was
/// never closed.
fn not_let_go(record: &Record, client: usize, failure: Failure) -> Failure {
    if failure.id == ids::WRONG_ANSWER {
        return failure.rule(
            "Send nothing to the clients; only close their connections.",
        );
    }
    if failure.id != ids::NOT_CLOSED {
        return failure;
    }
    if record.completes().filter(brought).count() >= client {
        return failure.rule(
            "The client was accepted, but its connection was never closed: close the descriptor \
             that the accept's completion returns.",
        );
    }
    Failure { id: ids::NO_ANSWER, ..failure }
        .rule("The client was not accepted: no accept is armed.")
}

/// Fails unless one multishot accept took all clients.
fn one_entry(record: &Record, clients: usize) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_no_plain(&["accept", "accept4"])?;
    record.need_entries("ACCEPT", 1)?;
    let accepts = record.submitted("ACCEPT");
    let completed = record.completed("ACCEPT");
    // The program may arm an accept again if the kernel ended the last one, but not if the program
    // cancelled it.
    let ended = completed
        .iter()
        .filter(|it| !it.more && it.error.as_deref() != Some("ECANCELED"))
        .count();
    let rule = if !accepts.iter().all(|accept| multishot(accept)) {
        "A plain accept ends with its first client. `AcceptMulti` stays armed and completes once \
         for each client."
    } else if accepts.len() > 1 + ended {
        "A multishot accept stays armed as long as its completions carry IORING_CQE_F_MORE. Do not \
         submit another one beside it, and do not cancel it to submit a new one."
    } else {
        return need_served(record, clients, 0);
    };
    Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(record.lines(of_ops(&["ACCEPT"]))).rule(format!(
        "The kernel took {} accept entries for {clients} clients; one is enough. {rule}",
        accepts.len()
    )))
}
