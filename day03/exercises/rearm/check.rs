//! `rearm`: the multishot accept ends on a success and on an error, and the server goes on.

use std::net::TcpStream;

use common::text::several;
use nix::sys::socket::{Backlog, Shutdown, listen, shutdown};
use std::os::fd::AsRawFd;

use crate::exercise::prelude::*;

const GREETING: &[u8] = b"welcome\n";
/// The completion queue that is given.
const QUEUE: u32 = 4;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let client = run.connect()?;
    greeted(&mut run, client, "A client connects and waits to be greeted.")?;
    as_given(&run.record())?;

    for burst in 1..=2 {
        let clients = attempt.number(12..=20) as usize;
        let did = format!(
            "{clients} clients connect at once (burst {burst}), more than the completion queue \
             holds."
        );
        let came = at_once(&mut run, clients)?;
        for client in came {
            greeted(&mut run, client, &did)?;
        }
        let client = run.connect()?;
        greeted(&mut run, client, &format!("{did} Then one more comes."))?;
    }
    run.did("Clients came one by one, and many at once.");
    need_one_at_a_time(&run.record())?;
    ended_on_success(&run.record())?;

    fail_once(&mut run)?;
    need_one_at_a_time(&run.record())?;
    as_given(&run.record())?;
    sleeps(&mut run)?;
    need_slots(&run.record())?;
    let record = run.stop();
    let armed = record.submitted("ACCEPT").len();
    Ok(Passed::new(format!(
        "The accept ended on a success and on an error; it was armed {armed} times, never twice \
         at once, and nobody waited in vain."
    )))
}

fn at_once(run: &mut Run, clients: usize) -> Result<Vec<TcpStream>, Failure> {
    pause(run);
    let came = (0..clients).map(|_| run.connect()).collect();
    resume(run);
    came
}

/// The client gets the greeting and the end.
fn greeted(
    run: &mut Run,
    mut client: TcpStream,
    did: &str,
) -> Result<(), Failure> {
    run.did(did);
    let (got, ending) = read_to_end(&mut client, GREETING.len());
    match ending {
        Ending::End if got == GREETING => Ok(()),
        Ending::Broken(error) if got.is_empty() => {
            let failure = trouble(run, did, &error);
            Err(if waits(&failure) {
                in_vain(&run.record(), failure)
            } else {
                failure
            })
        }
        Ending::Broken(error) if got == GREETING => {
            let failure = trouble(run, did, &error);
            Err(if waits(&failure) {
                Failure { id: ids::NOT_CLOSED, ..failure }
                    .rule("The client was greeted and never let go: the slot stays taken.")
            } else {
                failure
            })
        }
        _ => Err(wrong_answer(run, &got, GREETING, did)),
    }
}

/// Why a client waits for its greeting.
fn in_vain(record: &Record, failure: Failure) -> Failure {
    let record_fail = |id| record.fail(id).client(failure.client.clone());
    if let Err(failure) = need_slots(record) {
        return failure;
    }
    let accepted = record.completes().filter(brought).count();
    let greeted =
        record.submitted("SEND").len() + record.submitted("WRITE").len();
    let last_end = |what: &What| {
        matches!(what, What::Complete(it)
        if it.op.as_deref() == Some("ACCEPT") && !it.more)
    };
    if accepted > greeted {
        if let Some(ignored) = ignored(record) {
            let its = |what: &What| match what {
                What::Submit(submit) => Some(submit.seq) == ignored.seq,
                What::Complete(complete) => complete == ignored,
                _ => false,
            };
            return record_fail(ids::LOST).kernel(record.lines(its)).rule(format!(
                "A completion came with the user_data {}, and nothing was submitted after it. \
                 The kernel gives back what the accept's entry carried: is that what the program \
                 knows its accepts by?",
                meaning(ignored)
            ));
        }
        let were = |count: usize, verb: &str| {
            format!("{} {verb}", several(count, "client"))
        };
        return record_fail(ids::LOST).kernel(record.last_lines(last_end)).rule(format!(
            "{} accepted, and {} an answer. The completion that ends a multishot can be a \
             success: it brings a client like any other, who sits in its slot and waits.",
            were(accepted, if accepted == 1 { "was" } else { "were" }),
            were(greeted, "got"),
        ));
    }
    let armed = in_flight(&record.events);
    if armed.last().is_none_or(|(now, _)| *now == 0) {
        return record_fail(ids::REARM).kernel(record.last_lines(of_ops(&["ACCEPT"]))).rule(
            "The last completion of the accept came without IORING_CQE_F_MORE: it has ended, and \
             nobody accepts any more. Whenever the flag is absent, whatever the result, the \
             accept must be armed again.",
        );
    }
    failure
}

/// The completion of an accept that is still armed, if it brought a client and nothing was
/// submitted afterwards.
fn ignored(record: &Record) -> Option<&Complete> {
    let mut ignored = None;
    for event in &record.events {
        match &event.what {
            What::Submit(_) => ignored = None,
            What::Complete(it) if brought(&it) => {
                ignored = ignored.or(Some(it))
            }
            _ => {}
        }
    }
    ignored.filter(|it| it.more)
}

/// A completion's `user_data`, as a token if it is one, whatever operation it names.
fn meaning(complete: &Complete) -> String {
    token(&complete.user_data)
        .map_or_else(|| complete.meaning.clone(), |token| token.to_string())
}

/// How many accepts were in flight, after each event that changed it.
fn in_flight(events: &[Event]) -> Vec<(i64, usize)> {
    let mut now = 0;
    let mut counts = Vec::new();
    for (at, event) in events.iter().enumerate() {
        match &event.what {
            What::Submit(submit) if submit.op == "ACCEPT" => now += 1,
            What::Complete(it)
                if it.op.as_deref() == Some("ACCEPT") && !it.more =>
            {
                now -= 1
            }
            _ => continue,
        }
        counts.push((now, at));
    }
    counts
}

fn need_one_at_a_time(record: &Record) -> Result<(), Failure> {
    let counts = in_flight(&record.events);
    if counts.iter().all(|(now, _)| *now <= 1) {
        return Ok(());
    }
    let most = counts.iter().map(|(now, _)| *now).max().unwrap_or_default();
    Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(record.lines(of_ops(&["ACCEPT"]))).rule(format!(
        "Up to {most} accepts were armed at the same time. A completion with IORING_CQE_F_MORE \
         says that the accept is still armed: arm it anew only when the flag is absent."
    )))
}

/// The ring is the one that makes a multishot end.
fn as_given(record: &Record) -> Result<(), Failure> {
    record.need_ring()?;
    need_slots(record)?;
    let mut granted =
        record.setups().filter_map(|setup| setup.granted.as_ref());
    if granted.any(|granted| granted.cq_entries > QUEUE) {
        return Err(record
            .fail(ids::AS_GIVEN)
            .kernel(record.lines(|what| matches!(what, What::Setup(_))))
            .rule(format!(
                "The completion queue was to stay at {QUEUE} entries. A larger one only puts \
                 off the end of a multishot: with enough clients it comes all the same."
            )));
    }
    if record.submitted("ACCEPT").iter().all(|accept| multishot(accept)) {
        return Ok(());
    }
    let single = |what: &What| matches!(what, What::Submit(submit) if submit.op == "ACCEPT" && !multishot(submit));
    Err(record.fail(ids::WRONG_ENTRY).kernel(record.lines(single)).rule(
        "This task is about a multishot accept, one entry for many clients; such an accept is \
         for one client. When the multishot has ended, arm a multishot again.",
    ))
}

fn ended_on_success(record: &Record) -> Result<(), Failure> {
    if record.completes().any(|it| brought(&it) && !it.more) {
        return Ok(());
    }
    Err(Failure::not_observed(
        "no multishot accept ended although more clients came at once than the completion queue \
         holds; so it cannot be told whether it would be armed again",
    ))
}

/// Makes the accept fail with an error, and listens again.
fn fail_once(run: &mut Run) -> Result<(), Failure> {
    // Without a way to the listener there is no error to be had; the bursts have decided.
    let Ok(listener) = testkit::listener_of(run.pid()) else { return Ok(()) };
    let failed = |record: &Record| {
        record.completed("ACCEPT").iter().any(|it| it.res < 0 && !it.more)
    };
    let did = "The listener was shut for a moment, so the accept failed; then a client comes.";
    run.did(did);
    let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
    seen(run, PATIENCE, failed);
    if let Ok(backlog) = Backlog::new(64) {
        let _ = listen(&listener, backlog);
    }
    if run.ended() {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        return Err(trouble(run, did, &error));
    }
    // It listens on another port now, for the first one was none that was asked for.
    let Ok(client) = listener.local_addr().and_then(TcpStream::connect) else {
        return Ok(());
    };
    drop(listener);
    let _ = client.set_read_timeout(Some(PATIENCE));
    greeted(run, client, did)
}
