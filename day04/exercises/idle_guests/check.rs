//! `idle_guests`: silent guests are let go in time, talkative ones are not, and no guest has a
//! timer of its own.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// How long a guest may be silent.
const PATIENCE: Duration = Duration::from_secs(1);
/// The soonest that one may be let go, for clocks that differ a little.
const SOONEST: Duration = Duration::from_millis(930);
/// When at last, on a machine with other things to do.
const LATEST: Duration = Duration::from_millis(3500);
/// Between two messages of a talkative guest.
const PAUSE: Duration = Duration::from_millis(150);

/// A guest who is silent, since when, and when its end came.
struct Idle {
    stream: TcpStream,
    name: &'static str,
    since: Instant,
    ended: Option<Duration>,
}

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let mut tries = 0;
    while !together(attempt, &mut run)? {
        tries += 1;
        if tries == 3 {
            return Err(Failure::not_observed(
                "this machine is too busy: the check itself could not keep a guest talking",
            ));
        }
    }
    let record = run.record();
    need_slots(&record)?;
    one_timer(&record)?;
    need_free_slots(&mut run, "All guests have gone, or were let go.")?;
    nobody(&mut run)?;
    sleeps(&mut run)?;
    let client = run.connect()?;
    let did = "A guest comes after a quiet time.";
    talk(attempt, &mut run, &client, did)?;
    run.stop();
    Ok(Passed::new(
        "Each silent guest was let go in its own time, the talkative one never, and no guest had \
         a timer of its own.",
    ))
}

fn talk(
    attempt: &Attempt,
    run: &mut Run,
    guest: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let word = attempt.word(attempt.number(3..=60) as usize);
    send(run, guest, word.as_bytes(), did)?;
    expect(run, guest, word.as_bytes(), did)
}

fn idle(run: &mut Run, name: &'static str) -> Result<Idle, Failure> {
    let since = Instant::now();
    Ok(Idle { stream: run.connect()?, name, since, ended: None })
}

/// Silent guests who come at different times, beside one who talks. `false` if that one was
/// kept from talking by the machine.
fn together(attempt: &Attempt, run: &mut Run) -> Result<bool, Failure> {
    let did =
        "One guest talks all the time; three others come and fall silent.";
    run.did(did);
    let busy = run.connect()?;
    let mut guests = vec![
        idle(run, "The first, who never said a word,")?,
        idle(run, "The second, who said something once,")?,
    ];
    let began = Instant::now();
    let mut last = began;
    let (mut spoke, mut came) = (false, false);
    loop {
        if let Some(what) = glance(&busy) {
            if last.elapsed() > SOONEST {
                return Ok(false);
            }
            return Err(early(
                run,
                did,
                "The one who talks",
                &what,
                last.elapsed(),
            ));
        }
        if last.elapsed() > PATIENCE * 3 / 4 {
            return Ok(false);
        }
        last = Instant::now();
        talk(
            attempt,
            run,
            &busy,
            &format!("{did} The one who talks sends something."),
        )?;
        if !spoke && began.elapsed() > PATIENCE / 2 && guests[1].ended.is_none()
        {
            let second = &guests[1].stream;
            if let Some(what) = glance(second) {
                return Err(early(
                    run,
                    did,
                    guests[1].name,
                    &what,
                    guests[1].since.elapsed(),
                ));
            }
            let since = Instant::now();
            talk(attempt, run, second, did)?;
            (guests[1].since, spoke) = (since, true);
        }
        if !came && began.elapsed() > PATIENCE * 3 / 4 {
            guests.push(idle(run, "The third, who came later,")?);
            came = true;
        }
        let pause = Instant::now();
        while pause.elapsed() < PAUSE {
            look(run, did, &mut guests)?;
            std::thread::sleep(Duration::from_millis(10));
        }
        if came && guests.iter().all(|guest| guest.ended.is_some()) {
            return Ok(true);
        }
    }
}

fn look(run: &mut Run, did: &str, guests: &mut [Idle]) -> Result<(), Failure> {
    for guest in guests.iter_mut().filter(|guest| guest.ended.is_none()) {
        let silent = guest.since.elapsed();
        match glance(&guest.stream) {
            Some(what) if silent < SOONEST => {
                return Err(early(run, did, guest.name, &what, silent));
            }
            Some(what) if what != "its end" => {
                run.did(format!("{did} {} got {what}.", guest.name));
                let record = run.record();
                return Err(record
                    .fail(ids::RESET)
                    .kernel(record.last_lines(of_ops(&["SHUTDOWN", "CLOSE"])))
                    .rule(
                        "A guest whose time is up sees the end of the connection, and no more.",
                    ));
            }
            Some(_) => guest.ended = Some(silent),
            None if silent > LATEST => {
                return Err(late(run, did, guest.name, silent));
            }
            None => {}
        }
    }
    Ok(())
}

fn early(
    run: &mut Run,
    did: &str,
    name: &str,
    what: &str,
    after: Duration,
) -> Failure {
    if run.ended() {
        let error = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        return run.trouble(did, &error);
    }
    run.did(format!(
        "{did} {name} got {what} after {} ms of silence.",
        after.as_millis()
    ));
    let record = run.record();
    record
        .fail(ids::DEADLINE)
        .kernel(record.last_lines(of_ops(&["RECV", "SHUTDOWN", "CLOSE", "TIMEOUT"])))
        .rule(
            "Each guest has a second from its arrival, and from everything it says a second \
             anew. Whoever talks stays.",
        )
}

fn late(run: &mut Run, did: &str, name: &str, after: Duration) -> Failure {
    run.did(format!(
        "{did} {name} is still there after {} ms of silence.",
        after.as_millis()
    ));
    let record = run.record();
    let shut = record.submitted("SHUTDOWN").is_empty()
        && !record.submitted("CLOSE").is_empty();
    let waits = record.enters().any(|enter| enter.at_most_us.is_some());
    let failure =
        record.fail(ids::DEADLINE).kernel(record.last_lines(|what| {
            matches!(what, What::Enter(_) | What::Return(_))
        }));
    failure.rule(if shut {
        "A slot was closed, and its guest sees nothing: a receive that is in flight keeps the \
         connection. A shutdown of both directions ends the receive; close the slot then."
    } else if waits {
        "The wait has a time limit, but this guest's time ran out unnoticed. With a guest who \
         talks the wait never times out: look at the deadlines every turn, and let each guest \
         have its own."
    } else {
        "Nobody looked at the clock. The wait takes a time (`submit_and_wait(1, Some(time))`): \
         until the next guest is due."
    })
}

/// No more than one timer at a time, for whomever.
fn one_timer(record: &Record) -> Result<(), Failure> {
    let is_timer = |op: &str| ["TIMEOUT", "LINK_TIMEOUT"].contains(&op);
    let (mut now, mut most) = (0_i64, 0);
    for event in &record.events {
        match &event.what {
            What::Submit(submit) if is_timer(&submit.op) => now += 1,
            What::Complete(it)
                if it.op.as_deref().is_some_and(is_timer) && !it.more =>
            {
                now -= 1
            }
            _ => {}
        }
        most = most.max(now);
    }
    if most <= 1 {
        return Ok(());
    }
    Err(record
        .fail(ids::TOO_MANY_ENTRIES)
        .kernel(record.lines(of_ops(&["TIMEOUT", "LINK_TIMEOUT"])))
        .rule(format!(
            "Up to {most} timeouts were in flight at once: one for each guest. One deadline does \
             for all, that of the guest who is due next, and the wait itself can keep it."
        )))
}

/// With nobody in, nobody is due.
fn nobody(run: &mut Run) -> Result<(), Failure> {
    // What the last guest's end still leads to.
    seen(run, Duration::from_millis(100), |_| false);
    let before = run.record().summary.enters;
    std::thread::sleep(Duration::from_millis(700));
    let record = run.record();
    let calls = record.summary.enters - before;
    if calls <= 3 {
        return Ok(());
    }
    run.did("Nobody is in, and nothing happens.");
    Err(run.record().fail(ids::ENTERS).kernel(record.last_lines(of_requests)).rule(format!(
        "{calls} calls in less than a second in which nobody was in. With nobody to be let go \
         there is no deadline: wait without a time."
    )))
}
