//! `buffer_ring`: more clients than buffers. Some clients keep a buffer, and others wait in a line
//! for one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use crate::exercise::prelude::*;

const BUFFERS: usize = 4;
/// The size of each buffer, in bytes.
const SIZE: usize = 4096;
/// The most bytes that a client sends without reading.
const ENOUGH: usize = 4 << 20;
/// Receives that may fail for each client while no buffer is free: the program may try once more
/// than necessary.
const TRIES: usize = 3;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut run = serve(attempt)?;
    let count = attempt.number(10..=14) as usize;
    let mut clients =
        (0..count).map(|_| run.connect()).collect::<Result<Vec<_>, _>>()?;
    let did = format!(
        "{count} clients are connected, and only the last of them sends."
    );
    together(attempt, &mut run, &clients[count - 1..], &did)?;
    for round in 1..=3 {
        let did = format!(
            "{count} clients are connected, and all of them send at once (round {round}); there \
             are {BUFFERS} buffers."
        );
        together(attempt, &mut run, &clients, &did)?;
    }
    if lacked(&run.record()) == 0 {
        return Err(Failure::not_observed(
            "no receive ever lacked a buffer, though there are more clients than buffers",
        ));
    }
    clients.truncate(BUFFERS);
    line(attempt, &mut run, &clients)?;
    gone(&mut run)?;
    let did = "All others have left, and a client connects.";
    drop(clients);
    need_free_slots(&mut run, did)?;
    let client = run.connect()?;
    together(attempt, &mut run, &[client], did)?;
    all_are_back(attempt, &mut run)?;
    sleeps(&mut run)?;
    let measured = one_by_one(&mut run, ALONE, |run| {
        let client = run.connect()?;
        let word = attempt.word(attempt.number(10..=2000) as usize);
        echo(run, &client, word.as_bytes(), did)?;
        leaves(run, &client, did)
    })?;
    need_slots(&run.record())?;
    let record = run.stop();
    Ok(Passed::new(format!(
        "{count} clients, {BUFFERS} buffers: {} receives found none, and every client got its \
         bytes back.",
        lacked(&record)
    ))
    .measured(measured))
}

fn out_of_buffers(complete: &Complete) -> bool {
    complete.error.as_deref() == Some("ENOBUFS")
}

/// The number of receives that found no buffer.
fn lacked(record: &Record) -> usize {
    record.completes().filter(|it| out_of_buffers(it)).count()
}

/// The number of completions with an error.
fn in_vain(run: &Run) -> u64 {
    let summary = run.summary();
    summary.completions.values().map(|them| them.errors).sum()
}

/// Whether an entry receives into a buffer that the kernel chooses.
fn chooses(submit: &Submit) -> bool {
    submit.details.contains_key("buffer_group")
}

/// All send while the program is stopped, and all get their bytes back.
fn together(
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
    // First let the program receive from all of them.
    seen(run, PATIENCE / 15, |record| {
        record.submits().filter(|it| chooses(it)).count() >= clients.len()
    });
    at_once(run, |run| {
        let mut pairs = clients.iter().zip(&words);
        pairs.try_for_each(|(client, word)| {
            send(run, client, word.as_bytes(), did)
        })
    })?;
    for (client, word) in clients.iter().zip(&words) {
        answered(run, client, word.as_bytes(), did)?;
    }
    as_given(&run.record())
}

fn answered(
    run: &mut Run,
    client: &TcpStream,
    bytes: &[u8],
    did: &str,
) -> Result<(), Failure> {
    expect(run, client, bytes, did)
        .map_err(|failure| explain(&run.record(), failure))
}

fn explain(record: &Record, failure: Failure) -> Failure {
    if let Err(failure) = as_given(record) {
        return failure;
    }
    if failure.id == ids::WRONG_ANSWER {
        return failure.kernel(record.last_lines(of_ops(&["RECV", "SEND"]))).rule(
            "These are another client's bytes, or old ones. The kernel fills a buffer for the next \
             client as soon as you give it back: give it back once, when the send from it has \
             completed.",
        );
    }
    if lacked(record) == 0 {
        return failure;
    }
    if failure.rule == EARLY_END || failure.id == ids::RESET {
        let lines = record.last_lines(
            |what| matches!(what, What::Complete(it) if out_of_buffers(it)),
        );
        return Failure { id: ids::LOST, ..failure }.kernel(lines).rule(
            "The program closed the client because no buffer was free. ENOBUFS does not mean that \
             the connection has ended: its bytes wait in the socket until a buffer is free.",
        );
    }
    if waits(&failure) {
        return Failure { id: ids::NO_ANSWER, ..failure }
            .kernel(record.last_lines(of_ops(&["RECV"])))
            .rule(
                "A receive that found no buffer has ended: queue it again when a buffer is free. \
                 Give every buffer back that a completion brought, even if its client has left. If \
                 the first client in the line has left too, receive from the next one.",
            );
    }
    failure
}

fn as_given(record: &Record) -> Result<(), Failure> {
    need_slots(record)?;
    let own = |it: &&Submit| {
        ["RECV", "READ"].contains(&it.op.as_str()) && !chooses(it)
    };
    if let Some(seq) = record.submits().find(own).map(|it| it.seq) {
        let line = record
            .lines(|what| matches!(what, What::Submit(it) if it.seq == seq));
        return Err(record.fail(ids::WRONG_ENTRY).kernel(line).rule(
            "This receive names a buffer itself. In this exercise the kernel chooses one of the \
             four in the ring when bytes arrive: set IOSQE_BUFFER_SELECT and a buffer group.",
        ));
    }
    let rings = record.registers().filter(|register| {
        register.op.contains("REGISTER_PBUF_RING")
            && !register.op.starts_with("UN")
    });
    let buffers: usize = rings.filter_map(|it| first_number(&it.detail)).sum();
    let old_way = !record.submitted("PROVIDE_BUFFERS").is_empty();
    if buffers > BUFFERS || old_way {
        return Err(record
            .fail(ids::AS_GIVEN)
            .kernel(record.lines(|what| matches!(what, What::Register(_))))
            .rule("Leave the ring at four buffers; with more of them it only runs out later."));
    }
    Ok(())
}

fn first_number(text: &str) -> Option<usize> {
    text.split(|letter: char| !letter.is_ascii_digit())
        .find_map(|digits| digits.parse().ok())
}

/// Clients that send and do not read keep all buffers. Other clients wait in a line for a buffer,
/// and some of these leave. Then the first buffer comes back.
fn line(
    attempt: &Attempt,
    run: &mut Run,
    clients: &[TcpStream],
) -> Result<(), Failure> {
    let did = format!(
        "{BUFFERS} clients send and do not read, so that they keep the buffers."
    );
    run.did(&did);
    let (mut keepers, mut sent) = keepers(run)?;
    no_spin(&run.record())?;
    let did = format!("{did} Others send and wait; some connect and leave.");
    let mut leave = Vec::new();
    let mut words = Vec::new();
    for client in clients {
        // These come before and between the waiting clients, and send nothing.
        stand(run, |run| {
            leave.push(run.connect()?);
            Ok(())
        })?;
        // As many bytes as a buffer holds, so that old bytes of another client show.
        let word = attempt.word(SIZE);
        stand(run, |run| send(run, client, word.as_bytes(), &did))?;
        words.push(word);
    }
    run.did(&did);
    let slept = sleeps(run);
    no_spin(&run.record())?;
    slept?;
    drop(leave);

    let one_each = sends_in_flight(run) == BUFFERS;
    let did = format!("{did} Then the first buffer comes back.");
    testkit::reset(keepers.remove(0));
    sent.remove(0);
    let waiting = clients.iter().zip(&words);
    if one_each {
        for (client, word) in waiting.clone() {
            answered(run, client, word.as_bytes(), &did)?;
        }
    }
    let did =
        format!("{did} Then one of them leaves, and the others read all.");
    testkit::reset(keepers.remove(0));
    sent.remove(0);
    // They read at the same time, because one may keep a buffer for which another waits.
    let readers: Vec<_> = keepers
        .iter()
        .zip(&sent)
        .filter_map(|(keeper, sent)| Some((keeper.try_clone().ok()?, *sent)))
        .map(|(keeper, sent)| thread::spawn(move || read_some(keeper, sent)))
        .collect();
    for ((keeper, sent), reader) in keepers.iter().zip(sent).zip(readers) {
        let Ok(got) = reader.join() else { continue };
        let bytes = pattern(sent);
        if !bytes.starts_with(&got) {
            let failure = wrong_answer(run, &got, &bytes, &did);
            return Err(explain(&run.record(), failure));
        }
        answered(run, keeper, &bytes[got.len()..], &did)?;
    }
    for (client, word) in waiting {
        if !one_each {
            answered(run, client, word.as_bytes(), &did)?;
        }
        if let Some(what) = glance(client) {
            run.did(format!("{did} The client also got {what}."));
            let failure = run.record().fail(ids::WRONG_ANSWER);
            return Err(failure.rule("The client had not sent these bytes."));
        }
    }
    Ok(())
}

/// All clients that keep a buffer reset their connections. Every buffer must come back.
fn gone(run: &mut Run) -> Result<(), Failure> {
    let did = format!(
        "{BUFFERS} clients send, do not read, and reset their connections."
    );
    run.did(&did);
    let (keepers, _) = keepers(run)?;
    keepers.into_iter().for_each(testkit::reset);
    let client = run.connect()?;
    let did = format!("{did} Then another one sends.");
    send(run, &client, b"a buffer, please", &did)?;
    answered(run, &client, b"a buffer, please", &did)
}

/// When no client has a buffer, each of four clients must get one.
fn all_are_back(attempt: &Attempt, run: &mut Run) -> Result<(), Failure> {
    need_free_slots(run, "All have left.")?;
    let clients =
        (0..BUFFERS).map(|_| run.connect()).collect::<Result<Vec<_>, _>>()?;
    let did = format!(
        "All others have left. {BUFFERS} clients connect and send at once."
    );
    let before = lacked(&run.record());
    together(attempt, run, &clients, &did)?;
    let record = run.record();
    if lacked(&record) == before {
        return Ok(());
    }
    let lines = record.last_lines(
        |what| matches!(what, What::Complete(it) if out_of_buffers(it)),
    );
    Err(record.fail(ids::LOST).kernel(lines).rule(format!(
        "No other client has a buffer, {BUFFERS} clients send, and a receive finds no buffer: the \
         program did not give one back. Remember for each client which buffer it has. Give every \
         buffer back exactly once, when the send from it has completed, even if its client has \
         left."
    )))
}

/// Does something that puts one more client into the line, and waits until it is there.
fn stand(
    run: &mut Run,
    act: impl FnOnce(&mut Run) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let before = in_vain(run);
    act(run)?;
    testkit::holds_within(PATIENCE / 15, || in_vain(run) > before);
    Ok(())
}

/// Clients that send without reading until their sockets are full. Returns how many bytes each of
/// them sent.
fn keepers(run: &mut Run) -> Result<(Vec<TcpStream>, Vec<usize>), Failure> {
    let keepers = (0..BUFFERS)
        .map(|_| connect_narrow(run, 4096, 65536))
        .collect::<Result<Vec<_>, _>>()?;
    let bytes = pattern(ENOUGH);
    let mut sent = vec![0; keepers.len()];
    keepers.iter().for_each(|keeper| drop(keeper.set_nonblocking(true)));
    let mut full = false;
    while !full && !run.ended() {
        if in_vain(run) > 1000 {
            break;
        }
        // While the program sleeps it makes no more room.
        let rests = run.settles();
        full = rests;
        let mut moved = Instant::now();
        while moved.elapsed() < Duration::from_millis(30) {
            for (mut keeper, sent) in keepers.iter().zip(&mut sent) {
                let some = &bytes[*sent..(*sent + 65536).min(ENOUGH)];
                let count = keeper.write(some).unwrap_or(0);
                *sent += count;
                if count > 0 {
                    (full, moved) = (false, Instant::now());
                }
            }
            sleep(Duration::from_millis(3));
        }
        // The program never sleeps: another check judges that.
        full |= !rests;
    }
    keepers.iter().for_each(|keeper| drop(keeper.set_nonblocking(false)));
    Ok((keepers, sent))
}

/// The number of slots with a send in flight.
fn sends_in_flight(run: &Run) -> usize {
    let rings = run.rings();
    let sends = rings.iter().flat_map(|ring| &ring.in_flight);
    let sends =
        sends.filter(|it| it.op.contains("SEND") || it.op.contains("WRITE"));
    let mut slots: Vec<&str> =
        sends.map(|it| it.words.split(',').next().unwrap_or("")).collect();
    slots.sort_unstable();
    slots.dedup();
    slots.len()
}

/// Reads this many bytes, or fewer if the connection ends.
fn read_some(mut client: TcpStream, count: usize) -> Vec<u8> {
    let mut got = Vec::new();
    let by_ref = Read::by_ref(&mut client);
    let _ = by_ref.take(count as u64).read_to_end(&mut got);
    got
}

/// Fails if the program receives from a client again although nothing has happened that may have
/// freed a buffer.
fn no_spin(record: &Record) -> Result<(), Failure> {
    // The slots of the entries, and the number of completions at the last receive from each slot.
    let mut slots = HashMap::new();
    let mut received = HashMap::new();
    let mut tries: HashMap<_, usize> = HashMap::new();
    let (mut completed, mut most) = (0, 0);
    for event in &record.events {
        match &event.what {
            What::Submit(submit) if chooses(submit) => {
                let slot = number(submit, "slot");
                slots.insert(submit.seq, slot);
                if received.insert(slot, completed) != Some(completed) {
                    tries.remove(&slot);
                }
            }
            What::Complete(it) if out_of_buffers(it) => {
                if let Some(slot) = it.seq.and_then(|seq| slots.get(&seq)) {
                    *tries.entry(*slot).or_default() += 1;
                    most = most.max(tries[slot]);
                }
            }
            What::Complete(it) if it.op.as_deref() != Some("TIMEOUT") => {
                completed += 1;
            }
            _ => {}
        }
    }
    if most <= TRIES {
        return Ok(());
    }
    Err(record.fail(ids::SPIN).kernel(record.last_lines(of_ops(&["RECV"]))).rule(format!(
        "All buffers were in use, and the program tried {most} receives from one client although \
         no buffer had come back in between. Such a receive fails at once: wait until a send has \
         completed."
    )))
}
