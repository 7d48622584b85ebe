//! A server whose clients have left must sleep, and have no slots or descriptors for them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::clients::PATIENCE;
use super::served::{of_ops, of_requests};
use crate::exercise::failure::Failure;
use crate::exercise::hang;
use crate::exercise::ids;
use crate::exercise::record::Record;
use crate::exercise::run::Run;

/// Fails unless an idle program sleeps in the kernel, in the wait for completions, without using
/// CPU time or polling. First waits until the program is idle.
pub fn sleeps(run: &mut Run) -> Result<(), Failure> {
    sleeps_but_for(run, 100)
}

/// Like [`sleeps`], but allows this many enters.
pub fn sleeps_but_for(run: &mut Run, most: u64) -> Result<(), Failure> {
    const LOOKS: u32 = 20;
    const TIME: Duration = Duration::from_millis(400);
    const CALLS: u64 = 100;
    const BURNT: Duration = Duration::from_millis(50);
    let others = |record: &Record| record.summary.other_calls.values().sum::<u64>();
    run.settles();
    let (before, burnt) = (run.record(), hang::cpu(run.pid()));
    // On a busy machine a spinning program gets little CPU time, but it is awake.
    let mut awake = 0;
    for _ in 0..LOOKS {
        std::thread::sleep(TIME / LOOKS);
        awake += u32::from(!hang::sleeps(run.pid()));
    }
    let (record, burnt) = (run.record(), hang::cpu(run.pid()).saturating_sub(burnt));
    let enters = record.summary.enters - before.summary.enters;
    let calls = others(&record) - others(&before);
    let rests = burnt < BURNT && awake < LOOKS / 2;
    if (enters <= most && calls <= CALLS && rests) || run.ended() {
        return Ok(());
    }
    run.did("Nothing happens for a moment.");
    let mut kernel = record.last_lines(of_requests);
    kernel.truncate(2);
    kernel.push(format!(
        "in {} ms: {enters} enters, {calls} other calls, {} ms of CPU time; awake at {awake} of \
         {LOOKS} looks",
        TIME.as_millis(),
        burnt.as_millis()
    ));
    Err(run.record().fail(ids::SPIN).kernel(kernel).rule(
        "Nothing happens, but the program polls again and again. A wait for a completion \
         (`submit_and_wait(1)`) sleeps until there is one, and costs nothing.",
    ))
}

/// Asks until `left` is `None`, for as long as a client waits. Then asks once more when the program
/// is idle, because a busy machine is slow.
fn until_none<T>(run: &Run, ask: impl Fn() -> Result<Vec<T>, Failure>) -> Result<Vec<T>, Failure> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        run.need_an_end()?;
        let found = ask()?;
        if found.is_empty() {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            run.settles();
            return ask();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Waits until no client has a slot. A listener may keep one.
pub fn need_free_slots(run: &mut Run, did: &str) -> Result<(), Failure> {
    let taken = until_none(run, || slots_of_clients(run))?;
    if taken.is_empty() {
        return Ok(());
    }
    run.did(did);
    let record = run.record();
    let mut kernel = record.last_lines(of_ops(&["ACCEPT", "CLOSE"]));
    kernel.push(format!("now: {}", list(&taken)));
    Err(record.fail(ids::NOT_CLOSED).kernel(kernel).rule(
        "All clients have left, but slots are still taken. A slot is free only when an \
         IORING_OP_CLOSE for it has completed, however its client left.",
    ))
}

/// The slots that are taken now by clients. If the tracer was too late to see what filled a slot,
/// slots that were taken before the first client do not count.
pub fn slots_of_clients(run: &Run) -> Result<Vec<u32>, Failure> {
    let taken = run.slots()?;
    let record = run.record();
    let clients = record.slots_of_clients();
    let before = run.slots_before();
    let unseen = record.summary.unseen_entries + record.summary.unseen_completions > 0;
    let counts = |slot: &u32| clients.contains(slot) || unseen && !before.contains(slot);
    Ok(taken.into_iter().filter(counts).collect())
}

/// Waits until the program has hardly more descriptors than before the `clients`. It may have
/// opened a log or a pipe meanwhile.
pub fn need_few_descriptors(
    run: &mut Run,
    before: &BTreeMap<i32, String>,
    clients: usize,
    did: &str,
) -> Result<(), Failure> {
    const NEW: usize = 4;
    let more = until_none(run, || {
        let now = run.descriptors()?;
        let few = now.len() <= before.len() + NEW.min(clients / 2);
        let new = now.into_iter().filter(|(fd, file)| before.get(fd) != Some(file));
        Ok(if few { Vec::new() } else { new.collect() })
    })?;
    if more.is_empty() {
        return Ok(());
    }
    let lines = more.iter().take(3).map(|(fd, file)| format!("fd {fd} -> {file}"));
    run.did(did);
    Err(run.record().fail(ids::NOT_CLOSED).kernel(lines).rule(format!(
        "{clients} clients have connected and left, and the program has {} new descriptors. A \
         shutdown ends a connection, but only a close frees its descriptor.",
        more.len()
    )))
}

/// Taken slots, for a verdict.
fn list(slots: &[u32]) -> String {
    const SHOWN: usize = 8;
    let shown: Vec<String> = slots.iter().take(SHOWN).map(u32::to_string).collect();
    let more = slots.len().saturating_sub(SHOWN);
    let numbers = shown.join(", ");
    match (slots.len(), more) {
        (1, _) => format!("slot {numbers} is taken"),
        (_, 0) => format!("slots {numbers} are taken"),
        _ => format!("slots {numbers} and {more} more are taken"),
    }
}
