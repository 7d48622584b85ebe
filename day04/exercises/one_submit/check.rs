//! `one_submit`: one call of `io_uring_enter` a turn, with one client and with many at once.

use std::net::TcpStream;
use std::time::Duration;

use crate::exercise::prelude::*;

/// Completions of one client: accepted, received, sent, closed.
const STEPS: u64 = 4;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let clients = attempt.number(10..=20);
    let one_by_one = format!("{clients} clients came, one after the other.");
    let before = enters(&run);
    for _ in 0..clients {
        let client = run.connect()?;
        talk(&mut run, attempt, client, &one_by_one)?;
    }
    need_slots(&run.record())?;
    let alone = enters(&run) - before;
    few(&mut run, before, alone, clients * STEPS + 4, &one_by_one)?;

    let clients = attempt.number(16..=24);
    let at_once =
        format!("{clients} clients came and sent their requests at once.");
    let before = enters(&run);
    pause(&run);
    let came: Result<Vec<_>, Failure> = (0..clients)
        .map(|_| {
            let client = run.connect()?;
            let request = attempt.word(attempt.number(3..=60) as usize);
            send(&mut run, &client, request.as_bytes(), &at_once)?;
            Ok((client, request))
        })
        .collect();
    resume(&run);
    for (client, request) in came? {
        expect(&mut run, &client, request.as_bytes(), &at_once)?;
        expect_end(&mut run, &client, &at_once)?;
    }
    need_free_slots(&mut run, &at_once)?;
    let together = enters(&run) - before;
    few(&mut run, before, together, clients + 8, &at_once)?;
    quiet(&mut run)?;
    sleeps(&mut run)?;
    need_slots(&run.record())?;
    run.stop();
    Ok(Passed::new(format!(
        "{alone} calls for clients one by one, {together} for {clients} at once."
    )))
}

/// With nobody there the program sleeps in the kernel.
fn quiet(run: &mut Run) -> Result<(), Failure> {
    let before = enters(run);
    std::thread::sleep(Duration::from_millis(300));
    let calls = enters(run) - before;
    if calls <= 3 {
        return Ok(());
    }
    run.did("Nobody is there, and nothing happens.");
    let record = run.record();
    Err(record.fail(ids::ENTERS).kernel(record.last_lines(of_requests)).rule(format!(
        "{calls} calls in less than a third of a second in which nothing happened. A call that \
         waits for a completion (`submit_and_wait(1)`) sleeps until there is one."
    )))
}

fn enters(run: &Run) -> u64 {
    run.record().summary.enters
}

fn talk(
    run: &mut Run,
    attempt: &Attempt,
    client: TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let request = attempt.word(attempt.number(3..=60) as usize);
    send(run, &client, request.as_bytes(), did)?;
    expect(run, &client, request.as_bytes(), did)?;
    expect_end(run, &client, did)
}

/// What the calls since were good for.
#[derive(Default)]
struct Calls {
    /// Submitted, and did not wait, although the queue had room.
    only_submit: u64,
    /// Returned although nothing had come since the one before.
    for_nothing: u64,
}

fn few(
    run: &mut Run,
    before: u64,
    calls: u64,
    most: u64,
    did: &str,
) -> Result<(), Failure> {
    if calls <= most {
        return Ok(());
    }
    run.did(did);
    let record = run.record();
    let seen = look(&record, before);
    let rule = if seen.only_submit > calls / 4 {
        format!(
            "{} of the {calls} calls submitted entries and did not wait. Push all that a turn \
             leads to; the call that waits for the next completions submits it as well.",
            seen.only_submit
        )
    } else if seen.for_nothing > calls / 4 {
        format!(
            "{} of the {calls} calls returned although nothing new had come. The kernel counts \
             what the program has not published as taken: the completion queue must be \
             synchronised, or dropped, before the wait.",
            seen.for_nothing
        )
    } else {
        format!(
            "{calls} calls where {most} would do. A wait may bring many completions: take all \
             that are there before the next call."
        )
    };
    Err(record
        .fail(ids::ENTERS)
        .kernel(record.last_lines(of_requests))
        .rule(rule))
}

fn look(record: &Record, before: u64) -> Calls {
    let entries = record
        .setups()
        .find_map(|setup| setup.granted.as_ref())
        .map_or(0, |it| it.sq_entries);
    let mut calls = Calls::default();
    let mut news = true;
    for event in &record.events {
        match &event.what {
            What::Enter(enter) if enter.enter > before => {
                let full = enter.to_submit >= entries;
                calls.only_submit += u64::from(
                    enter.to_submit > 0 && enter.min_complete == 0 && !full,
                );
            }
            What::Complete(_) => news = true,
            What::Return(back) if back.enter > before => {
                calls.for_nothing += u64::from(!news && back.error.is_none());
                news = false;
            }
            _ => {}
        }
    }
    calls
}
