//! `whose_completion`: the timeouts of guests who have gone complete while another guest sits
//! in their slot, and he is not thrown out.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// What a guest has for a request.
const PATIENCE: Duration = Duration::from_millis(1500);
const SLOTS: u64 = 2;
/// The operations that can measure a guest's time.
const TIMERS: &[&str] = &["TIMEOUT", "LINK_TIMEOUT"];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let mut tries = 0;
    let quick = loop {
        tries += 1;
        match late_completions(attempt, &mut run)? {
            Some(quick) => break quick,
            None if tries < 3 => {}
            None => {
                return Err(Failure::not_observed(
                    "this machine is too busy: a guest's time was over before the check had \
                     seen what it wanted to",
                ));
            }
        }
    };
    silent(&mut run)?;
    sleeps(&mut run)?;
    need_slots(&run.record())?;
    need_table(&run.record(), SLOTS)?;
    run.stop();
    Ok(Passed::new(format!(
        "The timeouts of {quick} guests who had gone touched nobody; a silent guest was let go \
         in time."
    )))
}

/// Quick guests, and then one who takes his time, but no more than he has. `None` if that was
/// too slow to tell.
fn late_completions(
    attempt: &Attempt,
    run: &mut Run,
) -> Result<Option<u64>, Failure> {
    let quick = attempt.number(36..=44);
    let did = format!(
        "{quick} guests came one after the other, asked at once and left."
    );
    for _ in 0..quick {
        let guest = run.connect()?;
        let request = attempt.word(12);
        send(run, &guest, request.as_bytes(), &did)?;
        expect(run, &guest, request.as_bytes(), &did)?;
        expect_end(run, &guest, &did)?;
    }
    let last = Instant::now();
    need_slots(&run.record())?;
    need_table(&run.record(), SLOTS)?;

    // Two, so that both slots are taken.
    std::thread::sleep(PATIENCE / 2);
    let came = Instant::now();
    let guests = [run.connect()?, run.connect()?];
    let late = last + PATIENCE + PATIENCE / 10;
    std::thread::sleep(late.saturating_duration_since(Instant::now()));
    let did = format!(
        "{did} Then two others sat in their slots for a while, and asked in time."
    );
    let thrown = guests.iter().find_map(glance);
    // From here on his own time could have been over.
    if came.elapsed() > PATIENCE - PATIENCE / 10 {
        return Ok(None);
    }
    if let Some(what) = thrown {
        return Err(stale(
            run,
            &format!("{did} One of them got {what} before that."),
        ));
    }
    for guest in &guests {
        let request = attempt.word(12);
        let answered = ask(run, guest, &request, &did);
        if came.elapsed() > PATIENCE - PATIENCE / 10 {
            return Ok(None);
        }
        answered?;
    }
    Ok(Some(quick))
}

fn ask(
    run: &mut Run,
    guest: &TcpStream,
    request: &str,
    did: &str,
) -> Result<(), Failure> {
    let answered = send(run, guest, request.as_bytes(), did)
        .and_then(|()| expect(run, guest, request.as_bytes(), did))
        .and_then(|()| expect_end(run, guest, did));
    answered.map_err(|failure| {
        let cut_off =
            [ids::NO_ANSWER, ids::RESET, ids::LOST].contains(&failure.id);
        if cut_off && !run.ended() { stale(run, did) } else { failure }
    })
}

fn stale(run: &mut Run, did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    if let Some(failure) = hasty(&record) {
        return failure;
    }
    record
        .fail(ids::STALE)
        .kernel(record.last_lines(of_ops(&[
            "TIMEOUT",
            "LINK_TIMEOUT",
            "SHUTDOWN",
            "CLOSE",
            "ACCEPT",
        ])))
        .rule(
            "A completion for an earlier guest was taken for this one's. The slot is the same; \
             only a generation, counted up with every guest of the slot and carried in \
             user_data, tells them apart.",
        )
}

/// A timeout that gives nobody the time that he has.
fn hasty(record: &Record) -> Option<Failure> {
    let least = (PATIENCE - PATIENCE / 10).as_micros() as u64;
    let early = |it: &Complete| {
        it.op.as_deref().is_some_and(|op| TIMERS.contains(&op))
            && it.error.as_deref() == Some("ETIME")
            && it.after_us.is_some_and(|after| after < least)
    };
    let first = record.completes().find(|it| early(it))?;
    let (seq, after) = (first.seq, first.after_us.unwrap_or_default() / 1000);
    let lines = record.lines(|what| match what {
        What::Submit(submit) => Some(submit.seq) == seq,
        What::Complete(it) => it.seq == seq,
        _ => false,
    });
    Some(
        record.fail(ids::DEADLINE).kernel(lines).rule(format!(
            "A guest has a second and a half. This timeout was over after {after} ms."
        )),
    )
}

/// A guest who never asks is let go when his time is up, and not before.
fn silent(run: &mut Run) -> Result<(), Failure> {
    let did = "A guest came and asked for nothing.";
    run.did(did);
    let mut guest = run.connect()?;
    let came = Instant::now();
    let (got, ending) = read_to_end(&mut guest, 64);
    let early = came.elapsed() < PATIENCE - PATIENCE / 10;
    let record = run.record();
    match ending {
        Ending::End if got.is_empty() && !early => Ok(()),
        Ending::End if got.is_empty() => {
            Err(too_soon(run, did, came.elapsed()))
        }
        Ending::Broken(error) if got.is_empty() => {
            if run.ended() {
                return Err(trouble(run, did, &error));
            }
            let id = if error.kind() == std::io::ErrorKind::ConnectionReset {
                ids::RESET
            } else {
                ids::DEADLINE
            };
            Err(record.fail(id).kernel(timers(&record)).rule(
                "Whoever asks for nothing is let go after a second and a half. A timeout that is \
                 this guest's own still has to end him; only those of others must not.",
            ))
        }
        _ => Err(record
            .fail(ids::WRONG_ANSWER)
            .rule("He asked for nothing, and got something.")),
    }
}

/// Another's timeout, or one of his own that is too short?
fn too_soon(run: &mut Run, did: &str, after: Duration) -> Failure {
    let did = format!("{did} He was let go after {} ms.", after.as_millis());
    let record = run.record();
    let of = |complete: &Complete| {
        complete.op.as_deref().is_some_and(|op| TIMERS.contains(&op))
    };
    let accepted = record.events.iter().rposition(|event| match &event.what {
        What::Complete(complete) => brought(&complete),
        _ => false,
    });
    let fired =
        record.events.iter().rev().find_map(|event| match &event.what {
            What::Complete(complete)
                if of(complete) && complete.res == -nix::libc::ETIME =>
            {
                complete.seq
            }
            _ => None,
        });
    let submitted = fired.and_then(|fired| {
        record
            .events
            .iter()
            .position(|event| matches!(&event.what, What::Submit(submit) if submit.seq == fired))
    });
    // Older timers have a right to complete, but not to end him.
    if submitted.is_some() && submitted < accepted {
        return stale(run, &did);
    }
    run.did(did);
    run.record().fail(ids::DEADLINE).kernel(timers(&record)).rule(format!(
        "A guest has {} ms for his request, and this one was let go before. It was not another's \
         timeout that ended him.",
        PATIENCE.as_millis()
    ))
}

fn timers(record: &Record) -> Vec<String> {
    let lines = record.last_lines(of_ops(TIMERS));
    if lines.is_empty() {
        vec!["no timeout ever went in".to_string()]
    } else {
        lines
    }
}
