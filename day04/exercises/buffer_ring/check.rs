//! `buffer_ring`: more clients than buffers, clients who keep theirs, and nobody goes for want
//! of one.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

const BUFFERS: u64 = 4;
/// Bytes that a client who does not read sends at most.
const ENOUGH: usize = 4 << 20;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let count = attempt.number(10..=14) as usize;
    let mut clients =
        (0..count).map(|_| run.connect()).collect::<Result<Vec<_>, _>>()?;
    let did =
        format!("{count} clients are in, and only the last of them sends.");
    talk(attempt, &mut run, &clients[count - 1..], &did)?;
    as_given(&run.record())?;
    for round in 1..=3 {
        let did = format!(
            "{count} clients are in, and all of them send at once (round {round}); there are \
             {BUFFERS} buffers."
        );
        talk(attempt, &mut run, &clients, &did)?;
        as_given(&run.record())?;
    }
    if !run.record().completes().any(out_of_buffers) {
        return Err(Failure::not_observed(
            "no receive ever lacked a buffer, though there are more clients than buffers",
        ));
    }
    clients.truncate(1);
    for _ in 0..2 {
        hogs(attempt, &mut run, &clients[0])?;
    }
    let did = "Everybody has left.";
    drop(clients);
    need_free_slots(&mut run, did)?;
    let client = run.connect()?;
    talk(
        attempt,
        &mut run,
        &[client],
        "A client comes when the others have left.",
    )?;
    sleeps(&mut run)?;
    need_slots(&run.record())?;
    let record = run.stop();
    let failed = record.completes().filter(|it| out_of_buffers(it)).count();
    Ok(Passed::new(format!(
        "{count} clients, {BUFFERS} buffers: {failed} receives found none, and every client got his \
         bytes back."
    )))
}

fn out_of_buffers(complete: &Complete) -> bool {
    complete.error.as_deref() == Some("ENOBUFS")
}

/// All send while the program is stopped, and all get their bytes back.
fn talk(
    attempt: &Attempt,
    run: &mut Run,
    clients: &[TcpStream],
    did: &str,
) -> Result<(), Failure> {
    run.did(did);
    let words: Vec<String> = clients
        .iter()
        .map(|_| attempt.word(attempt.number(10..=2000) as usize))
        .collect();
    // First let all of them be received from.
    let accepted =
        |record: &Record| record.submitted("RECV").len() >= clients.len();
    seen(run, PATIENCE / 5, accepted);
    pause(run);
    let sent = clients
        .iter()
        .zip(&words)
        .try_for_each(|(client, word)| send(run, client, word.as_bytes(), did));
    resume(run);
    sent?;
    for (client, word) in clients.iter().zip(&words) {
        expect(run, client, word.as_bytes(), did)
            .map_err(|failure| explain(&run.record(), failure))?;
    }
    Ok(())
}

fn explain(record: &Record, failure: Failure) -> Failure {
    if let Err(failure) = need_slots(record).and_then(|()| as_given(record)) {
        return failure;
    }
    let lacked = record.completes().any(out_of_buffers);
    let lines = || {
        record.last_lines(
            |what| matches!(what, What::Complete(it) if out_of_buffers(it)),
        )
    };
    if lacked && (failure.rule == EARLY_END || failure.id == ids::RESET) {
        return Failure { id: ids::LOST, ..failure }.kernel(lines()).rule(
            "The client was closed because no buffer was free. ENOBUFS says nothing about the \
             connection: its bytes wait in the socket until there is a buffer again.",
        );
    }
    if lacked && waits(&failure) {
        return Failure { id: ids::NO_ANSWER, ..failure }
            .kernel(record.last_lines(of_ops(&["RECV"])))
            .rule(
                "A receive that found no buffer has ended, and has to be queued again when one is \
             there. And every buffer that a completion brought has to be given back, whatever \
             became of its client: there are only four.",
            );
    }
    failure
}

fn as_given(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    let selects = record
        .submits()
        .any(|submit| submit.details.contains_key("buffer_group"));
    if !selects {
        return Err(record.fail(ids::WRONG_ENTRY).kernel(record.lines(of_ops(&["RECV", "READ"]))).rule(
            "These receives bring a buffer of their own. In this task the kernel chooses one out \
             of the ring of four when bytes are there: IOSQE_BUFFER_SELECT and a buffer group.",
        ));
    }
    let rings: Vec<u64> = record
        .registers()
        .filter(|register| {
            register.op.contains("REGISTER_PBUF_RING")
                && !register.op.starts_with("UN")
        })
        .filter_map(|register| first_number(&register.detail))
        .collect();
    let old_way = !record.submitted("PROVIDE_BUFFERS").is_empty();
    if rings.iter().sum::<u64>() > BUFFERS || old_way {
        return Err(record
            .fail(ids::AS_GIVEN)
            .kernel(record.lines(|what| matches!(what, What::Register(_))))
            .rule("The ring was to stay at four buffers; with more of them it runs dry a little later."));
    }
    Ok(())
}

fn first_number(text: &str) -> Option<u64> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .find_map(|digits| digits.parse().ok())
}

/// Clients who send and do not read keep all buffers for a while.
fn hogs(
    attempt: &Attempt,
    run: &mut Run,
    client: &TcpStream,
) -> Result<(), Failure> {
    let did = format!(
        "{BUFFERS} clients send and do not read, so that they keep the buffers."
    );
    run.did(&did);
    let hogs = (0..BUFFERS)
        .map(|_| connect_narrow(run, 4096, 65536))
        .collect::<Result<Vec<_>, _>>()?;
    let sent = fill(run, &hogs);
    let did = format!("{did} Another one sends.");
    let word = attempt.word(40);
    // First in the line, although it sends nothing, and gone by the time there is a buffer.
    let first = run.connect()?;
    std::thread::sleep(Duration::from_millis(50));
    send(run, client, word.as_bytes(), &did)?;
    let before = run.record();
    std::thread::sleep(Duration::from_millis(400));
    let after = run.record();
    run.did(&did);
    no_spin(run, &before, &after)?;
    drop(first);

    let one_each = keepers(run) == BUFFERS as usize;
    let did = format!("{did} Then the first ones read or leave.");
    let mut readers = Vec::new();
    for (nth, (hog, sent)) in hogs.into_iter().zip(sent).enumerate() {
        if nth % 2 == 0 {
            testkit::reset(hog);
            if nth == 0 && one_each {
                let did = format!("{did} The first one's buffer is back.");
                expect(run, client, word.as_bytes(), &did)
                    .map_err(|failure| explain(&run.record(), failure))?;
            }
        } else {
            readers.push((hog, sent));
        }
    }
    // One of them may have a buffer that another waits for: they read at the same time.
    let later: Vec<_> = readers
        .iter()
        .skip(1)
        .filter_map(|(hog, sent)| Some((hog.try_clone().ok()?, *sent)))
        .map(|(hog, sent)| std::thread::spawn(move || read_some(hog, sent)))
        .collect();
    if let Some((hog, sent)) = readers.first() {
        expect(run, hog, &pattern(*sent), &did)
            .map_err(|failure| explain(&run.record(), failure))?;
    }
    for ((hog, sent), reader) in readers.iter().skip(1).zip(later) {
        let Ok(got) = reader.join() else { continue };
        let bytes = pattern(*sent);
        if !bytes.starts_with(&got) {
            return Err(wrong_answer(run, &got, &bytes, &did));
        }
        expect(run, hog, &bytes[got.len()..], &did)
            .map_err(|failure| explain(&run.record(), failure))?;
    }
    if !one_each {
        expect(run, client, word.as_bytes(), &did)
            .map_err(|failure| explain(&run.record(), failure))?;
    }
    if let Some(what) = glance(client) {
        run.did(format!("{did} It got {what} as well."));
        return Err(run
            .record()
            .fail(ids::WRONG_ANSWER)
            .rule("That was not among what it had sent."));
    }
    Ok(())
}

/// How many clients keep a buffer, for their sends do not complete.
fn keepers(run: &Run) -> usize {
    let rings = run.rings();
    let sends = rings
        .iter()
        .flat_map(|ring| &ring.in_flight)
        .filter(|it| it.op == "SEND");
    let mut slots: Vec<&str> =
        sends.map(|it| it.words.split(',').next().unwrap_or("")).collect();
    slots.sort_unstable();
    slots.dedup();
    slots.len()
}

/// Reads so many bytes, or what comes.
fn read_some(mut client: TcpStream, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    let _ = Read::by_ref(&mut client).take(count as u64).read_to_end(&mut got);
    got
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// They send without reading until no more goes in; how many bytes each of them did.
fn fill(run: &Run, hogs: &[TcpStream]) -> Vec<usize> {
    let bytes = pattern(ENOUGH);
    let mut sent = vec![0; hogs.len()];
    let mut moved = Instant::now();
    hogs.iter().for_each(|hog| drop(hog.set_nonblocking(true)));
    while moved.elapsed() < Duration::from_millis(250) && !run.ended() {
        for (mut hog, sent) in hogs.iter().zip(&mut sent) {
            match hog.write(&bytes[*sent..(*sent + 65536).min(ENOUGH)]) {
                Ok(0) | Err(_) => {}
                Ok(count) => {
                    *sent += count;
                    moved = Instant::now();
                }
            }
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    hogs.iter().for_each(|hog| drop(hog.set_nonblocking(false)));
    sent
}

fn no_spin(run: &Run, before: &Record, after: &Record) -> Result<(), Failure> {
    /// In less than half a second in which nothing happens.
    const MOST: u64 = 60;
    let failed = |record: &Record| {
        record.completes().filter(|it| out_of_buffers(it)).count() as u64
    };
    let enters = after.summary.enters - before.summary.enters;
    let more = failed(after) - failed(before);
    if enters <= MOST && more <= MOST {
        return Ok(());
    }
    let record = run.record();
    Err(record.fail(ids::SPIN).kernel(record.last_lines(of_ops(&["RECV"]))).rule(format!(
        "All buffers are in use and nothing happens, yet there were {enters} calls and {more} \
         receives that found no buffer in a moment. Queued again at once, a receive fails again \
         at once: wait until a buffer comes back."
    )))
}
