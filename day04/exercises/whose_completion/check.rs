//! `whose_completion`: timeouts of clients that have left complete while another client is in their
//! slot. The server must not disconnect that client.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// The time that a client has for its request.
const TIME: Duration = Duration::from_millis(1500);
/// The earliest time to disconnect a client: a little sooner, because clocks differ.
const SOONEST: Duration = Duration::from_millis(1350);
/// The latest time to disconnect a client, by the record's clock.
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
                "this machine is too busy: a client's time was over before the check could judge \
                 the program",
            ));
        }
    }
    let (_, late) =
        in_time(LATEST, || silent(&mut run).map(|stayed| Some(((), stayed))))?;
    if late.is_some() {
        let record = run.record();
        let failure = record.fail(ids::DEADLINE).kernel(timers(&record));
        return Err(
            failure.rule("A client has a second and a half for its request.")
        );
    }
    sleeps(&mut run)?;
    let did = "A client connects and sends its request at once.";
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        ask(run, &client, &attempt.word(12), did)
    })?;
    run.did("All clients have connected and left.");
    let record = run.stop();
    as_given(&record)?;
    need_served(&record, quick + 3, 12 * (quick as u64 + 2))?;
    Ok(Passed::new(format!(
        "The timeouts of {quick} clients that had left disconnected no other client; a silent \
         client was disconnected in time."
    ))
    .measured(measured))
}

fn as_given(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    need_table(record, SLOTS)
}

/// Quick clients, and then two slow ones that still send their requests in time. `false` if this
/// machine was too slow for that.
fn late_completions(
    attempt: &Attempt,
    run: &mut Run,
    quick: usize,
) -> Result<bool, Failure> {
    let did = format!(
        "{quick} clients connected one after the other, sent their requests at once and left."
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
        "{did} Then two others were in these slots for a while, and sent their requests in time."
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
    // From this moment on their own time may be over.
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

/// Explains why a client was disconnected too early: by another client's timeout, or by a timeout
/// that is too short.
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
                "The program took the completion of an earlier client's timeout for this client's. \
                 Both have the same slot. Count a generation up with every client of the slot, \
                 carry it in user_data, and compare it.",
            )
        }
        _ if record.completes().any(removed) => record.fail(ids::DEADLINE).kernel(timers(&record)).rule(
            "A client has a second and a half, and this one was disconnected earlier. A removed \
             timeout completes as well, with ECANCELED. Only ETIME means that the time is up.",
        ),
        _ => record.fail(ids::DEADLINE).kernel(timers(&record)).rule(
            "A client has a second and a half, and this one was disconnected earlier, but not by \
             another client's timeout. Check the length of the timeout.",
        ),
    }
}

/// Whether a timeout was removed before its time was up.
fn removed(complete: &Complete) -> bool {
    complete.op.as_deref() == Some("TIMEOUT")
        && complete.error.as_deref() == Some("ECANCELED")
}

/// A client that sends no request must be disconnected when its time is up, and not earlier.
/// Returns how long it stayed, by the record's clock.
fn silent(run: &mut Run) -> Result<Duration, Failure> {
    let did = "A client connected and sent nothing.";
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
            "A client that sends no request must be disconnected after a second and a half: by its \
             own timeout, and by no other client's.",
        ));
    }
    let gone = |record: &Record| {
        Some(record.served().get(nth)?.clone()).filter(|it| it.left.is_some())
    };
    seen(run, Duration::from_secs(1), |record| gone(record).is_some());
    let record = run.record();
    let Some(client) = gone(&record) else {
        return Err(record.fail(ids::NOT_CLOSED).kernel(timers(&record)).rule(
            "The client saw the end of its connection, but its slot is still taken. Close the slot \
             when the receive has ended.",
        ));
    };
    let stayed =
        Duration::from_micros(client.left.unwrap_or_default() - client.came);
    let did =
        format!("{did} It was disconnected after {} ms.", stayed.as_millis());
    run.did(&did);
    if stayed < SOONEST { Err(too_soon(run, &did)) } else { Ok(stayed) }
}

fn timers(record: &Record) -> Vec<String> {
    let lines = record.last_lines(of_ops(TIMERS));
    if lines.is_empty() {
        vec!["the program submitted no timeout".to_string()]
    } else {
        lines
    }
}
