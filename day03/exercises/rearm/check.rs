//! `rearm`: the multishot accept ends on a success and on an error, and the server arms it again.

use std::net::TcpStream;
use std::os::fd::AsRawFd;

use nix::sys::socket::{Backlog, Shutdown, listen, shutdown};

use crate::exercise::prelude::*;

const GREETING: &[u8] = b"welcome\n";
/// The size of the completion queue in this exercise.
const QUEUE: u32 = 4;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let descriptors = run.descriptors()?;
    let client = run.connect()?;
    greeted(
        &mut run,
        &client,
        "A client connects and waits for its greeting.",
    )?;
    as_given(&run.record())?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        greeted(run, &client, "Clients come one after the other.")
    })?;

    let mut clients = 2 + ALONE as usize;
    for burst in 1..=2 {
        let count = attempt.number(12..=20) as usize;
        let did = format!(
            "{count} clients connect at once (burst {burst}), more than the completion queue holds."
        );
        pause(&run);
        let came: Result<Vec<_>, _> =
            (0..count).map(|_| run.connect()).collect();
        resume(&run);
        for client in came? {
            greeted(&mut run, &client, &did)?;
        }
        let client = run.connect()?;
        greeted(&mut run, &client, &format!("{did} Then one more comes."))?;
        clients += count + 1;
    }
    run.did("Clients came one by one, and many at once.");
    let record = run.record();
    as_given(&record)?;
    one_at_a_time(&record)?;
    if !record.completes().any(|it| brought(&it) && !it.more) {
        return Err(Failure::not_observed(
            "no multishot accept ended although more clients came at once than the completion \
             queue holds, so the check cannot see whether the program arms it again",
        ));
    }

    fail_once(&mut run)?;
    sleeps(&mut run)?;
    run.did("Clients came one by one and many at once, and all connections have ended.");
    as_given(&run.record())?;
    one_at_a_time(&run.record())?;
    let did =
        "All clients got their greeting, and their connections have ended.";
    need_free_slots(&mut run, did)?;
    need_few_descriptors(&mut run, &descriptors, clients, did)?;
    let record = run.stop();
    need_served(&record, clients, (clients * GREETING.len()) as u64)?;
    let armed = record.submitted("ACCEPT").len();
    Ok(Passed::new(format!(
        "The accept ended on a success and on an error; it was armed {armed} times, never twice \
         at once, and every client was accepted."
    ))
    .measured(measured))
}

/// The client must get the greeting and then the end.
fn greeted(
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    run.did(did);
    expect(run, client, GREETING, did)
        .map_err(|failure| in_vain(&run.record(), failure))?;
    expect_end(run, client, did)
}

/// Explains why a client got no greeting.
fn in_vain(record: &Record, failure: Failure) -> Failure {
    if !waits(&failure) {
        return failure;
    }
    if let Err(failure) = need_slots(record) {
        return failure;
    }
    let accepted: Vec<_> = record.completes().filter(brought).collect();
    let greeted =
        record.submitted("SEND").len() + record.submitted("WRITE").len();
    let last = record.last_lines(of_ops(&["ACCEPT"]));
    match accepted.last() {
        Some(it) if accepted.len() > greeted && it.more => {
            let token = token(&it.user_data).map(|token| token.to_string());
            Failure { id: ids::LOST, ..failure }.kernel(last).rule(format!(
                "A completion came with the user_data {}, and the program submitted nothing after \
                 it. A completion carries the `user_data` of the accept's entry: compare it with \
                 the value that you gave to the entry.",
                token.as_ref().unwrap_or(&it.meaning)
            ))
        }
        Some(_) if accepted.len() > greeted => {
            Failure { id: ids::LOST, ..failure }.kernel(last).rule(
                "The client of the last completion got no greeting. The completion that ends a \
                 multishot can be a success: then a client is in the slot that it names. Greet \
                 that client, too.",
            )
        }
        _ if armed(record) == 0 => Failure { id: ids::REARM, ..failure }.kernel(last).rule(
            "The last completion of the accept came without IORING_CQE_F_MORE: the accept has \
                 ended, and no other is armed. Whenever the flag is absent, arm the accept again, \
                 after a success as well as after an error.",
        ),
        _ => failure,
    }
}

/// How many accepts are armed.
fn armed(record: &Record) -> usize {
    let ended = record.completed("ACCEPT").iter().filter(|it| !it.more).count();
    record.submitted("ACCEPT").len().saturating_sub(ended)
}

/// An accept may be armed when the kernel has ended the one before, but not when the program has
/// cancelled it.
fn one_at_a_time(record: &Record) -> Result<(), Failure> {
    let ends = |it: &Complete| it.error.as_deref() != Some("ECANCELED");
    let most = most_in_flight(record, &["ACCEPT"], ends);
    if most <= 1 {
        return Ok(());
    }
    Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(record.lines(of_ops(&["ACCEPT"]))).rule(
        "The program armed an accept while another was armed. A completion with IORING_CQE_F_MORE \
             says that the accept is still armed: arm one only when the flag is absent, and do not \
             cancel one for that.",
    ))
}

/// Fails if the program changed the ring so that a multishot ends later.
fn as_given(record: &Record) -> Result<(), Failure> {
    record.need_ring()?;
    need_slots(record)?;
    let granted = record.setups().filter_map(|it| it.granted.as_ref());
    if granted.chain(record.resized()).any(|ring| ring.cq_entries > QUEUE) {
        let kernel = record
            .lines(|what| matches!(what, What::Setup(_) | What::Register(_)));
        return Err(record.fail(ids::AS_GIVEN).kernel(kernel).rule(format!(
            "The completion queue has {QUEUE} entries in this exercise. With a larger queue the \
             multishot only ends later, at a larger number of clients."
        )));
    }
    let single = |what: &What| matches!(what, What::Submit(it) if it.op == "ACCEPT" && !multishot(it));
    let lines = record.lines(single);
    if lines.is_empty() {
        return Ok(());
    }
    Err(record.fail(ids::WRONG_ENTRY).kernel(lines).rule(
        "The program armed a single accept, which takes one client. This exercise is about a \
         multishot accept, one entry for many clients: when it has ended, arm a multishot again.",
    ))
}

/// Shuts the listener down, so that the accept fails with an error, and listens again.
fn fail_once(run: &mut Run) -> Result<(), Failure> {
    // If the check cannot reach the listener, it cannot cause an error. Then the bursts decide.
    let Ok(listener) = testkit::listener_of(run.pid()) else { return Ok(()) };
    let did = "The listener was shut down for a moment, so the accept failed. Then a client \
               connects.";
    run.did(did);
    let _ = shutdown(listener.as_raw_fd(), Shutdown::Both);
    seen(run, PATIENCE, |record| {
        record.completed("ACCEPT").iter().any(|it| it.res < 0 && !it.more)
    });
    if let Ok(backlog) = Backlog::new(64) {
        let _ = listen(&listener, backlog);
    }
    if run.ended() {
        let error = std::io::ErrorKind::ConnectionRefused.into();
        return Err(trouble(run, did, &error));
    }
    // The listener now has another port, which the kernel chose.
    let Ok(client) = listener.local_addr().and_then(TcpStream::connect) else {
        return Ok(());
    };
    drop(listener);
    let _ = client.set_read_timeout(Some(PATIENCE));
    greeted(run, &client, did)
}
