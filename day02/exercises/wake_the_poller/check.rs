//! `wake_the_poller`: a kernel thread polls the ring of the NOPs and falls asleep between the
//! bursts. The program wakes it, and makes hardly any other enter.

use std::collections::BTreeSet;

use common::text::several;

use crate::exercise::prelude::*;

/// The longest idle time, in milliseconds, that surely ends within the pause.
const IDLE: u64 = 100;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    // On a busy machine the thread may not fall asleep in time.
    for _ in 0..2 {
        match once(attempt) {
            Err(failure) if failure.is_not_observed() => {}
            answer => return answer,
        }
    }
    once(attempt)
}

fn once(attempt: &Attempt) -> Result<Passed, Failure> {
    let burst = attempt.number(30..=60);
    let first = nops::tag(attempt);
    // Fast, because a program that polls memory in a loop may make other calls there. If it wakes
    // the thread in that loop, it does so very often, until the thread gets a CPU.
    let record = attempt
        .run(format!(
            "The program was run as `wake_the_poller {burst} {first}`."
        ))
        .arg(burst.to_string())
        .arg(first.to_string())
        .fast()
        .start()?
        .end()
        .map_err(explain)?;
    record.need_ring()?;
    let idle = idle_time(&record)?;
    record.need_exit()?;
    record.need_all_submitted()?;
    let tags: Vec<u64> = (first..first + 2 * burst).collect();
    nops::need_tags(&record, &tags)?;
    record.need_answered("NOP", &tags)?;
    record.need_all_reaped()?;
    let woken = need_few_enters(&record, burst)?;
    need_sleep(&record, (first, first + burst), idle, &woken)?;
    Ok(Passed::new(format!(
        "{} NOPs; the thread was woken {}.",
        2 * burst,
        several(woken.len(), "time")
    ))
    .measured(Measured::of(&record).share(8, 2 * burst)))
}

/// Explains a loop that waits for a completion that never comes.
fn explain(failure: Failure) -> Failure {
    if ![ids::SPIN, ids::HANG_CALL].contains(&failure.id) {
        return failure;
    }
    failure.rule(
        "The program waits for a completion, but the thread has no entry to complete. The thread \
         sees a push only when the queue's tail is published: drop the queue that \
         `ring.submission()` returns, or call its `sync()`.",
    )
}

/// The idle time in milliseconds of the thread that polls the ring of the NOPs.
fn idle_time(record: &Record) -> Result<u64, Failure> {
    let rings = record.rings_of("NOP");
    let of_nops =
        |setup: &&Setup| rings.is_empty() || setup.ring == Some(rings[0]);
    let granted =
        record.setups().find(of_nops).and_then(|setup| setup.granted.as_ref());
    let polled = granted
        .filter(|granted| granted.flags.iter().any(|flag| flag == "SQPOLL"));
    // 0 stands for the kernel's default, one second.
    let idle = polled.map(|granted| match granted.sq_thread_idle {
        0 => 1000,
        idle => u64::from(idle),
    });
    let rule = match idle {
        _ if rings.len() > 1 => "The NOPs went through several rings. Send all through one.".to_string(),
        Some(idle @ ..=IDLE) => return Ok(idle),
        Some(idle) => format!(
            "The thread sleeps after {idle} ms without work, so it never sleeps in this program. \
             It must sleep after 50 ms."
        ),
        None => "The ring of the NOPs has no polling thread. `setup_sqpoll(IDLE)` asks for one \
                 (IORING_SETUP_SQPOLL); an idle time alone does not."
            .to_string(),
    };
    let mut lines =
        record.lines_at_most(4, |what| matches!(what, What::Setup(_)));
    lines
        .retain(|line| !line.contains("features") && line.trim().contains(' '));
    Err(record.fail(ids::SETUP).kernel(lines).rule(rule))
}

/// Fails if the program entered the kernel often while the thread was awake. Returns where in the
/// record the enters are that woke it.
fn need_few_enters(record: &Record, burst: u64) -> Result<Vec<usize>, Failure> {
    let wakes =
        |enter: &Enter| enter.flags.iter().any(|flag| flag == "SQ_WAKEUP");
    let mut asleep = BTreeSet::new();
    let (mut woken, mut needless) = (Vec::new(), 0);
    for (at, event) in record.events.iter().enumerate() {
        match &event.what {
            What::Poller(poller) if poller.asleep => {
                _ = asleep.insert(poller.ring)
            }
            What::Poller(poller) => _ = asleep.remove(&poller.ring),
            What::Enter(enter) => {
                match enter.ring.is_some_and(|ring| asleep.contains(&ring)) {
                    true if wakes(enter) => woken.push(at),
                    _ => needless += 1,
                }
            }
            _ => {}
        }
    }
    // The thread may wake up by itself just after the program has read the flag.
    if needless <= burst / 8 {
        return Ok(woken);
    }
    let mut lines = record.lines(|what| matches!(what, What::Enter(_)));
    lines.push(format!(
        "{needless} calls of io_uring_enter while the thread was awake"
    ));
    Err(record.fail(ids::ENTERS).kernel(lines).rule(
        "While the thread is awake it takes the entries by itself. While it sleeps, \
         IORING_SQ_NEED_WAKEUP is set in the queue's flags. `submit()` enters only if the flag is \
         set; `submit_and_wait` enters each time. Wait by looking at the completion queue.",
    ))
}

/// Fails unless the thread fell asleep between the bursts and an enter woke it. The bursts begin
/// with these tags.
fn need_sleep(
    record: &Record,
    (first, second): (u64, u64),
    idle: u64,
    woken: &[usize],
) -> Result<(), Failure> {
    // In a small queue the tracer may miss an entry: the nearest one that it saw then stands for
    // it.
    let nop = |tag: u64| {
        let its = |what: &What| match what {
            What::Submit(nop) => nop.user_data == user_data(tag),
            What::Complete(answer) => answer.user_data == user_data(tag),
            _ => false,
        };
        record.events.iter().position(|event| its(&event.what))
    };
    let (last, next) = (
        (first..second).rev().find_map(nop),
        (second..2 * second - first).find_map(nop),
    );
    let (Some(last), Some(next)) = (last, next) else {
        return Err(Failure::not_observed(
            "the tracer was too late to see a whole burst",
        ));
    };
    let pause =
        record.events[next].us.saturating_sub(record.events[last].us) / 1000;
    if pause < 2 * idle {
        return Err(record
            .fail(ids::NEVER_ASLEEP)
            .kernel([format!("between the bursts: {pause} ms; the thread sleeps after {idle}")])
            .rule(
                "The pause between the bursts is too short for the thread to fall asleep. Use the \
                 starter's pause: the exercise is to wake the thread.",
            ));
    }
    match woken.iter().any(|at| (last..next).contains(at)) {
        true => Ok(()),
        false => Err(Failure::not_observed(
            "the thread did not fall asleep between the bursts",
        )),
    }
}
