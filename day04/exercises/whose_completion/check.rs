//! `whose_completion`: the timeouts of clients that have gone complete while another client sits
//! in their slot, and it is not thrown out.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// What a client has for a request.
const TIME: Duration = Duration::from_millis(1500);
/// The soonest that one may be let go, for clocks that differ a little.
const SOONEST: Duration = Duration::from_millis(1350);
/// The latest, by the record's clock.
const LATEST: Duration = Duration::from_millis(1800);
const SLOTS: u64 = 2;
/// The operations that can measure a client's time.
const TIMERS: &[&str] = &["TIMEOUT", "LINK_TIMEOUT"];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    need_prompt_closes()?;
    let mut run = serve(attempt)?;
    let quick = attempt.number(36..=44) as usize;
    let mut tries = 0;
    while !late_completions(attempt, &mut run, quick)? {
        tries += 1;
        if tries == 3 {
            return Err(Failure::not_observed(
                "this machine is too busy: a client's time was over before the check had seen \
                 what it wanted to",
            ));
        }
    }
    let (_, late) =
        in_time(LATEST, || silent(&mut run).map(|stayed| Some(((), stayed))))?;
    if late.is_some() {
        let record = run.record();
        let failure = record.fail(ids::DEADLINE).kernel(timers(&record));
        return Err(failure.rule(
            "A client has a second and a half for its request, and no more.",
        ));
    }
    sleeps(&mut run)?;
    let did = "A client comes and asks at once.";
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        ask(run, &client, &attempt.word(12), did)
    })?;
    run.did("All clients have come and gone.");
    let record = run.stop();
    as_given(&record)?;
    need_served(&record, quick + 3, 12 * (quick as u64 + 2))?;
    Ok(Passed::new(format!(
        "The timeouts of {quick} clients that had gone touched no other; a silent client was let \
         go in time."
    ))
    .measured(measured))
}

fn as_given(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    need_table(record, SLOTS)
}

/// Quick clients, and then two that take their time, but no more than they have. `false` if this
/// machine was too slow for that.
fn late_completions(
    attempt: &Attempt,
    run: &mut Run,
    quick: usize,
) -> Result<bool, Failure> {
    let did = format!(
        "{quick} clients came one after the other, asked at once and left."
    );
    for _ in 0..quick {
        let client = run.connect()?;
        if let Err(failure) = ask(run, &client, &attempt.word(12), &did) {
            let cancelled = run.record().completes().any(removed);
            let ended = failure.rule == EARLY_END || failure.id == ids::RESET;
            return Err(if ended && cancelled {
                too_soon(run, &did)
            } else {
                failure
            });
        }
    }
    let last = Instant::now();
    as_given(&run.record())?;
    std::thread::sleep(TIME / 2);
    let came = Instant::now();
    // Two, so that both slots are taken.
    let clients = [run.connect()?, run.connect()?];
    let late = last + TIME + TIME / 10;
    std::thread::sleep(late.saturating_duration_since(Instant::now()));
    let did = format!(
        "{did} Then two others sat in their slots for a while, and asked in time."
    );
    let mut answered = Ok(());
    if let Some(what) = clients.iter().find_map(glance) {
        let did = format!("{did} One of them got {what} before that.");
        answered = Err(too_soon(run, &did));
    }
    for client in &clients {
        let cut_off = [ids::NO_ANSWER, ids::RESET, ids::LOST];
        answered = answered.and_then(|()| {
            match ask(run, client, &attempt.word(12), &did) {
                Err(failure) if cut_off.contains(&failure.id) => {
                    Err(too_soon(run, &did))
                }
                answered => answered,
            }
        });
    }
    // From then on their own time could have been over.
    let in_time = came.elapsed() < SOONEST;
    match answered {
        Err(failure) if !in_time && !failure.is_not_observed() => Ok(false),
        answered => answered.map(|()| in_time),
    }
}

fn ask(
    run: &mut Run,
    client: &TcpStream,
    request: &str,
    did: &str,
) -> Result<(), Failure> {
    send(run, client, request.as_bytes(), did)?;
    expect(run, client, request.as_bytes(), did)?;
    expect_end(run, client, did)
}

/// A client was ended before its time: by another's timeout, or by one that is too short.
fn too_soon(run: &mut Run, did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    if let Err(failure) = need_quiet_closes(&record) {
        return failure;
    }
    let fired = record.completes().filter(|it| {
        it.op.as_deref().is_some_and(|op| TIMERS.contains(&op))
            && it.error.as_deref() == Some("ETIME")
    });
    let least = SOONEST.as_micros() as u64;
    match fired.last() {
        Some(it) if it.after_us.is_none_or(|after| after >= least) => {
            let ops = of_ops(&["TIMEOUT", "LINK_TIMEOUT", "SHUTDOWN", "CLOSE", "ACCEPT"]);
            record.fail(ids::STALE).kernel(record.last_lines(ops)).rule(
                "A completion for an earlier client was taken for this one's. The slot is the \
                 same; only a generation, counted up with every client of the slot and carried in \
                 user_data, tells them apart.",
            )
        }
        _ if record.completes().any(removed) => record.fail(ids::DEADLINE).kernel(timers(&record)).rule(
            "A client has a second and a half, and this one was let go before. A timeout that is \
             removed completes as well, with ECANCELED. Only ETIME says that its time is up.",
        ),
        _ => record.fail(ids::DEADLINE).kernel(timers(&record)).rule(
            "A client has a second and a half, and this one was let go before. It was not \
             another's timeout that ended it.",
        ),
    }
}

/// Whether a timeout was removed before its time was up.
fn removed(complete: &Complete) -> bool {
    complete.op.as_deref() == Some("TIMEOUT")
        && complete.error.as_deref() == Some("ECANCELED")
}

/// A client that never asks is let go when its time is up, and not before: how long it stayed, by
/// the record's clock.
fn silent(run: &mut Run) -> Result<Duration, Failure> {
    let did = "A client came and asked for nothing.";
    run.did(did);
    let nth = run.record().served().len();
    let client = run.connect()?;
    if let Err(failure) = expect_end(run, &client, did) {
        need_quiet_closes(&run.record())?;
        if failure.id != ids::NOT_CLOSED {
            return Err(failure);
        }
        let kernel = timers(&run.record());
        return Err(Failure { id: ids::DEADLINE, ..failure }.kernel(kernel).rule(
            "A client that asks for nothing is let go after a second and a half. A timeout that \
             is its own still has to end it; only those of others must not.",
        ));
    }
    let gone = |record: &Record| {
        Some(record.served().get(nth)?.clone()).filter(|it| it.left.is_some())
    };
    seen(run, Duration::from_secs(1), |record| gone(record).is_some());
    let record = run.record();
    let Some(client) = gone(&record) else {
        return Err(record.fail(ids::NOT_CLOSED).kernel(timers(&record)).rule(
            "The client saw the end, and its slot is still taken: it is closed when the receive \
             has ended.",
        ));
    };
    let stayed =
        Duration::from_micros(client.left.unwrap_or_default() - client.came);
    let did = format!("{did} It was let go after {} ms.", stayed.as_millis());
    run.did(&did);
    if stayed < SOONEST { Err(too_soon(run, &did)) } else { Ok(stayed) }
}

fn timers(record: &Record) -> Vec<String> {
    let lines = record.last_lines(of_ops(TIMERS));
    if lines.is_empty() {
        vec!["no timeout ever went in".to_string()]
    } else {
        lines
    }
}
