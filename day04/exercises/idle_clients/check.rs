//! `idle_clients`: the program disconnects silent clients in time, and keeps those that send. No
//! client has a timer of its own.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

/// How long a client may be silent.
const TIME: Duration = Duration::from_secs(1);
/// The earliest time to disconnect a client: a little sooner, because clocks differ.
const SOONEST: Duration = Duration::from_millis(930);
/// The latest time to disconnect a client, by the record's clock.
const LATEST: Duration = Duration::from_millis(1300);
/// How long the check waits for the end of a client's connection.
const NEVER: Duration = Duration::from_millis(3500);
/// The time between two messages of a client that keeps sending.
const PAUSE: Duration = Duration::from_millis(150);
const DID: &str =
    "One client keeps sending; three others connect and fall silent.";

/// A client that falls silent.
struct Idle {
    stream: TcpStream,
    name: &'static str,
    since: Instant,
    /// The same moment by the record's clock.
    clock: u64,
    ended: bool,
}

impl Idle {
    fn comes(run: &mut Run, name: &'static str) -> Result<Idle, Failure> {
        let (clock, since) = (run.clock(), Instant::now());
        Ok(Idle { stream: run.connect()?, name, since, clock, ended: false })
    }
}

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let (longest, late_one) = in_time(LATEST, || together(attempt, &mut run))?;
    if let Some(name) = late_one {
        return Err(late(&run, name, longest));
    }
    need_free_slots(&mut run, "All clients have left or were disconnected.")?;
    no_client(&mut run)?;
    // Only their deadlines wake the program now.
    let (silent, late_one) = in_time(LATEST, || two_alone(attempt, &mut run))?;
    if let Some(name) = late_one {
        return Err(late(&run, name, silent));
    }
    let cost = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        let did = "A client sends, reads and leaves.";
        talk(attempt, run, &client, did)?;
        leaves(run, &client, did)
    })?;
    let record = run.stop();
    need_slots(&record)?;
    need_served(&record, 6, 0)?;
    one_timer(&record)?;
    Ok(Passed::new(format!(
        "Each silent client was disconnected in time, after {} ms at the latest, the one that kept \
         sending never, and no client had a timer of its own.",
        longest.as_millis()
    ))
    .measured(cost))
}

/// The client that was silent for longest before its slot was free, and for how long. `None` if
/// this machine was too slow for the check.
type Longest = Option<(&'static str, Duration)>;

fn talk(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
    did: &str,
) -> Result<(), Failure> {
    let word = attempt.word(attempt.number(3..=60) as usize);
    send(run, client, word.as_bytes(), did)?;
    expect(run, client, word.as_bytes(), did)
}

/// Silent clients that connect at different times, beside one that keeps sending.
fn together(attempt: &Attempt, run: &mut Run) -> Result<Longest, Failure> {
    run.did(DID);
    let before = run.record().served().len();
    let busy = run.connect()?;
    let mut clients = vec![
        Idle::comes(run, "The first, which never sends anything,")?,
        Idle::comes(run, "The second, which sends something once,")?,
    ];
    let began = Instant::now();
    let (mut last, mut spoke) = (began, false);
    while clients.len() < 3 || clients.iter().any(|client| !client.ended) {
        let seen = glance(&busy);
        if last.elapsed() > TIME * 3 / 4 {
            return Ok(None);
        }
        if let Some(what) = seen {
            return Err(early(
                run,
                "The one that keeps sending",
                &what,
                last.elapsed(),
            ));
        }
        let was = ("The one that keeps sending", last);
        last = Instant::now();
        if !says(attempt, run, &busy, was)? {
            return Ok(None);
        }
        if !spoke && began.elapsed() > TIME / 2 && !clients[1].ended {
            let second = &mut clients[1];
            let was = (second.name, second.since);
            (second.clock, second.since, spoke) =
                (run.clock(), Instant::now(), true);
            if !says(attempt, run, &second.stream, was)? {
                return Ok(None);
            }
        }
        if clients.len() < 3 && began.elapsed() > TIME * 3 / 4 {
            clients.push(Idle::comes(run, "The third, which connects later,")?);
        }
        while last.elapsed() < PAUSE {
            clients.iter_mut().try_for_each(|client| look(run, client))?;
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    // They have seen the end, and do not close their side.
    let free =
        |run: &Run| slots_of_clients(run).is_ok_and(|slots| slots.len() <= 1);
    if !testkit::holds_within(TIME / 2, || free(run)) {
        let record = run.record();
        need_slots(&record)?;
        let kernel = record.last_lines(of_ops(&["SHUTDOWN", "RECV", "CLOSE"]));
        return Err(record.fail(ids::NOT_CLOSED).kernel(kernel).rule(
            "A client has seen the end of its connection, but its slot stays taken until the \
             client leaves. Shut down both directions, which ends the receive; then close the \
             slot.",
        ));
    }
    let since = clients.iter().map(|it| (it.name, it.clock)).collect();
    longest_silence(run, before + 1, since)
}

/// Of clients that connected one after the other (the first is the client with this number), each
/// has been silent since a moment of the record's clock, or since it was accepted.
fn longest_silence(
    run: &Run,
    first: usize,
    since: Vec<(&'static str, u64)>,
) -> Result<Longest, Failure> {
    let left = |record: &Record| {
        let served = record.served();
        served.iter().skip(first).filter(|it| it.left.is_some()).count()
            >= since.len()
    };
    if !seen(run, TIME, left) {
        return Ok(None);
    }
    let served = run.record().served();
    let silent =
        since.iter().zip(&served[first..]).map(|((name, clock), it)| {
            let left = it.left.unwrap_or_default();
            (
                *name,
                Duration::from_micros(left.saturating_sub(it.came.max(*clock))),
            )
        });
    Ok(silent.max_by_key(|(_, silent)| *silent))
}

/// A client sends, after it was silent since a given moment. `false` if its connection ended
/// meanwhile because this machine was so slow that its time was over.
fn says(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
    (name, since): (&str, Instant),
) -> Result<bool, Failure> {
    let Err(failure) = talk(attempt, run, client, DID) else { return Ok(true) };
    let silent = since.elapsed();
    match failure.id {
        ids::NO_ANSWER | ids::RESET | ids::LOST
            if failure.rule == EARLY_END || !waits(&failure) =>
        {
            if silent > SOONEST {
                Ok(false)
            } else {
                Err(early(run, name, "its end", silent))
            }
        }
        _ => Err(failure),
    }
}

fn look(run: &mut Run, client: &mut Idle) -> Result<(), Failure> {
    let silent = client.since.elapsed();
    match glance(&client.stream).filter(|_| !client.ended) {
        Some(what) if silent < SOONEST => {
            Err(early(run, client.name, &what, silent))
        }
        Some(what) if what != "its end" => {
            run.did(format!("{DID} {} got {what}.", client.name));
            let record = run.record();
            let kernel = record.last_lines(of_ops(&["SHUTDOWN", "CLOSE"]));
            Err(record
                .fail(ids::RESET)
                .kernel(kernel)
                .rule("A client whose time is up must see the end of the connection, and nothing \
                       else."))
        }
        Some(_) => {
            client.ended = true;
            Ok(())
        }
        None if silent > NEVER && !client.ended => {
            Err(late(run, client.name, silent))
        }
        None => Ok(()),
    }
}

fn early(run: &mut Run, name: &str, what: &str, after: Duration) -> Failure {
    if run.ended() {
        return run.trouble(DID, &std::io::ErrorKind::ConnectionReset.into());
    }
    run.did(format!(
        "{DID} {name} got {what} after {} ms of silence.",
        after.as_millis()
    ));
    let record = run.record();
    let kernel =
        record.last_lines(of_ops(&["RECV", "SHUTDOWN", "CLOSE", "TIMEOUT"]));
    record.fail(ids::DEADLINE).kernel(kernel).rule(
        "Each client has one second from its arrival, and one second again after each message. A \
         client that keeps sending stays connected.",
    )
}

fn late(run: &Run, name: &str, after: Duration) -> Failure {
    let record = run.record();
    if let Err(failure) = need_quiet_closes(&record) {
        return failure;
    }
    let ended = record.served().iter().any(|client| client.left.is_some());
    let rule = if name.contains("never") && after > NEVER && ended {
        "A client that never sends anything has a second, too: from its arrival."
    } else if record.enters().any(|enter| enter.at_most_us.is_some()) {
        "A client has one second. The wait has a time limit, but the program did not notice the \
         end of this client's time. Look at the deadlines in every turn (while a client keeps \
         sending, the wait never times out), and wait no longer than until the next deadline."
    } else {
        "The program did not look at a deadline in time. Give the wait a time limit \
         (`submit_and_wait(1, Some(time))`): the time until the next deadline."
    };
    let kernel = record
        .last_lines(|what| matches!(what, What::Enter(_) | What::Return(_)));
    let did = format!(
        "{} {name} had been silent for {} ms.",
        record.did,
        after.as_millis()
    );
    record.fail(ids::DEADLINE).client(did).kernel(kernel).rule(rule)
}

/// Fails if more than one timer is in flight at a time.
fn one_timer(record: &Record) -> Result<(), Failure> {
    let timers = ["TIMEOUT", "LINK_TIMEOUT"];
    let most = most_in_flight(record, &timers, |_| true);
    if most <= 1 {
        return Ok(());
    }
    Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(record.lines(of_ops(&timers))).rule(format!(
        "Up to {most} timeouts were in flight at once: one for each client. One timeout is enough \
         for all clients: the time until the next deadline. The wait itself can have this time \
         limit."
    )))
}

/// Fails if the program waits with a time limit while no client is connected.
fn no_client(run: &mut Run) -> Result<(), Failure> {
    run.settles();
    let before = run.record().summary.enters;
    let sleeping = sleeps(run);
    let record = run.record();
    let calls = record.summary.enters - before;
    let rings = run.rings();
    let timed = rings
        .iter()
        .flat_map(|it| &it.inside)
        .any(|enter| enter.at_most_us.is_some());
    if calls <= 3 && !timed {
        return sleeping;
    }
    run.did("No client is connected, and nothing happens.");
    let kernel = record.last_lines(of_requests);
    Err(run.record().fail(ids::ENTERS).kernel(kernel).rule(
        "No client is connected, so there is no deadline, but the program waits with a time limit \
         or calls the kernel again and again. Wait without a time limit.",
    ))
}

/// Two clients connect one after the other and fall silent. No other client is connected.
fn two_alone(attempt: &Attempt, run: &mut Run) -> Result<Longest, Failure> {
    const NAME: &str = "One of the two clients";
    /// Enough calls for both clients, and for a few waits that end a moment too soon.
    const CALLS: u64 = 200;
    let calls_before = run.summary().enters;
    let did = "Two clients connect one after the other, send something and fall silent.";
    run.did(did);
    let before = run.record().served().len();
    let mut clients = Vec::new();
    for _ in 0..2 {
        let client = run.connect()?;
        let (clock, since) = (run.clock(), Instant::now());
        talk(attempt, run, &client, did)?;
        clients.push((clock, since, client));
        std::thread::sleep(TIME * 3 / 5);
    }
    for (_, since, client) in &clients {
        expect_end(run, client, did)?;
        if since.elapsed() < SOONEST {
            return Err(early(run, NAME, "its end", since.elapsed()));
        }
    }
    need_free_slots(run, did)?;
    let calls = run.summary().enters - calls_before;
    if calls > CALLS {
        return Err(woken(run, calls, did));
    }
    let since = clients.iter().map(|(clock, ..)| (NAME, *clock)).collect();
    longest_silence(run, before, since)
}

/// Fails if the program calls the kernel again and again while both clients are silent.
fn woken(run: &mut Run, calls: u64, did: &str) -> Failure {
    run.did(did);
    let record = run.record();
    let of_waits =
        |what: &What| matches!(what, What::Enter(_) | What::Return(_));
    record.fail(ids::ENTERS).kernel(record.last_lines(of_waits)).rule(format!(
        "{calls} calls for two clients. Wait until the next deadline. A wait with a time limit of \
         0 returns at once: do not round the time down to whole seconds."
    ))
}
