//! `one_accept`: a hundred clients come and are let go, and the kernel got one accept entry.

use std::io::Read;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let clients = attempt.number(90..=110);
    let mut run = attempt.run("The program was run.").start()?;
    run.listening()?;
    for client in 1..=clients {
        let did = format!(
            "Client {client} of {clients} connects and waits to be let go."
        );
        run.did(&did);
        one_client(&mut run, &did)?;
    }
    run.did(format!("{clients} clients came, one after the other."));
    sleeps(&mut run)?;
    let record = run.stop();
    one_entry(&record, clients)?;
    Ok(Passed::new(format!("{clients} clients, one ACCEPT entry.")))
}

/// A client that connects, and reads until the server closes.
fn one_client(run: &mut Run, did: &str) -> Result<(), Failure> {
    let mut stream = run.connect()?;
    // It begins again when a signal interrupts it, and stops at the first byte.
    match stream.by_ref().take(1).read_to_end(&mut Vec::new()) {
        Ok(0) => Ok(()),
        Ok(_) => Err(Failure::new(ids::WRONG_ANSWER, did)
            .kernel(run.record().last_lines(|_| true))
            .rule(
                "Nothing is to be sent to the clients; they are only let go.",
            )),
        Err(error) => {
            let failure = run.trouble(did, &error);
            let record = run.record();
            let accepted =
                record.completed("ACCEPT").iter().any(|accept| accept.res >= 0);
            if failure.id == ids::NO_ANSWER && accepted {
                return Err(Failure { id: ids::NOT_CLOSED, ..failure }.rule(
                    "The client was accepted and never let go: close what the completion of the \
                     accept brings.",
                ));
            }
            Err(failure)
        }
    }
}

fn one_entry(record: &Record, clients: u64) -> Result<(), Failure> {
    record.need_no_plain(&["accept", "accept4"])?;
    record.need_entries("ACCEPT", 1)?;
    let accepts = record.submitted("ACCEPT");
    let multishot = |submit: &&Submit| submit.details.contains_key("multishot");
    let all_multishot =
        accepts.iter().copied().all(|submit| multishot(&submit));
    // One that the kernel has ended is rightly armed again.
    // One that the program has cancelled is not.
    let ended = record
        .completed("ACCEPT")
        .iter()
        .filter(|accept| {
            !accept.more && accept.error.as_deref() != Some("ECANCELED")
        })
        .count();
    if accepts.len() == 1 || (all_multishot && accepts.len() <= 1 + ended) {
        return Ok(());
    }
    let lines = record.lines(|what| match what {
        What::Submit(submit) => submit.op == "ACCEPT",
        What::Complete(complete) => complete.op.as_deref() == Some("ACCEPT"),
        _ => false,
    });
    let rule = if all_multishot {
        "A multishot accept stays armed as long as its completions carry IORING_CQE_F_MORE: \
         another one only takes clients from the first, and cancelling it for a new one is a \
         single accept in disguise."
    } else {
        "A plain accept is done with its first client. `AcceptMulti` stays armed and completes \
         once for each."
    };
    Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(lines).rule(format!(
        "The kernel took {} accept entries for {clients} clients; one is enough. {rule}",
        accepts.len()
    )))
}
