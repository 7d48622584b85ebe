//! `wake_the_poller`: a kernel thread polls, falls asleep and is woken; hardly an enter
//! besides.

use crate::exercise::prelude::*;

/// The longest idle time that the pause of the exercise surely outlasts, in milliseconds.
const IDLE: u32 = 100;

/// How often a busy machine gets another chance to let the thread fall asleep.
const TRIES: u32 = 3;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut tries = 0;
    loop {
        tries += 1;
        match once(attempt) {
            Err(failure) if failure.is_not_observed() && tries < TRIES => {}
            answer => return answer,
        }
    }
}

fn once(attempt: &Attempt) -> Result<Passed, Failure> {
    let burst = attempt.number(30..=60);
    let first = nops::tag(attempt);
    let record = attempt
        .run(format!(
            "The program was run as `wake_the_poller {burst} {first}`."
        ))
        .arg(burst.to_string())
        .arg(first.to_string())
        .to_end()?;
    record.need_ring()?;
    need_poller(&record)?;
    record.need_exit()?;
    record.need_all_submitted()?;
    let tags: Vec<u64> = (first..first + 2 * burst).collect();
    nops::need_tags(&record, &tags)?;
    record.need_all_reaped()?;
    need_few_enters(&record, burst)?;
    need_sleep(&record)?;
    Ok(Passed::new(format!(
        "{} NOPs; calls of io_uring_enter: {}, to wake the thread.",
        2 * burst,
        record.summary.enters
    )))
}

fn need_poller(record: &Record) -> Result<(), Failure> {
    let lines = || {
        let lines = record.lines(|what| matches!(what, What::Setup(_)));
        let end = lines
            .iter()
            .position(|line| line.trim_start().starts_with("features"));
        lines[..end.unwrap_or(lines.len())].to_vec()
    };
    let mut polled = record
        .setups()
        .filter_map(|setup| setup.granted.as_ref())
        .filter(|granted| granted.flags.iter().any(|flag| flag == "SQPOLL"));
    let Some(granted) = polled.next() else {
        return Err(record.fail(ids::SETUP).kernel(lines()).rule(
            "The ring has no polling thread. `setup_sqpoll(IDLE)` asks for one \
             (IORING_SETUP_SQPOLL); an idle time alone makes none.",
        ));
    };
    // 0 stands for the kernel's own, a second.
    if granted.sq_thread_idle == 0 || granted.sq_thread_idle > IDLE {
        return Err(record.fail(ids::SETUP).kernel(lines()).rule(format!(
            "The thread sleeps after {} ms: so it never does in this program. It was to sleep \
             after 50.",
            if granted.sq_thread_idle == 0 { 1000 } else { granted.sq_thread_idle }
        )));
    }
    Ok(())
}

fn wakes(event: &Event) -> bool {
    matches!(&event.what, What::Enter(enter) if enter.flags.iter().any(|flag| flag == "SQ_WAKEUP"))
}

/// In the longest pause the thread fell asleep, and somebody woke it.
fn need_sleep(record: &Record) -> Result<(), Failure> {
    let submitted: Vec<u64> = record
        .events
        .iter()
        .filter(|event| matches!(event.what, What::Submit(_)))
        .map(|event| event.us)
        .collect();
    let pauses = submitted.windows(2).map(|pair| (pair[1] - pair[0], pair[0]));
    let (pause, began) = pauses.max().unwrap_or_default();
    let idle = record
        .setups()
        .filter_map(|setup| setup.granted.as_ref())
        .map(|granted| u64::from(granted.sq_thread_idle) * 1000)
        .max()
        .unwrap_or_default();
    if pause < 2 * idle {
        return Err(record
            .fail(ids::NEVER_ASLEEP)
            .kernel([format!("the longest pause between two NOPs: {} ms", pause / 1000)])
            .rule(
                "Between the bursts there was to be a pause in which the thread falls asleep: \
                 waking it is the exercise.",
            ));
    }
    if record.events.iter().any(|event| event.us >= began && wakes(event)) {
        return Ok(());
    }
    Err(Failure::not_observed(
        "the polling thread did not fall asleep in the pause, so nobody had to wake it",
    ))
}

fn need_few_enters(record: &Record, burst: u64) -> Result<(), Failure> {
    let calls = record
        .events
        .iter()
        .filter(|event| matches!(event.what, What::Enter(_)));
    let all = calls.clone().count() as u64;
    let wakeups = calls.filter(|event| wakes(event)).count() as u64;
    let lines = || {
        let mut lines = record.lines(|what| matches!(what, What::Enter(_)));
        lines.push(format!(
            "calls of io_uring_enter: {all}, with SQ_WAKEUP: {wakeups}"
        ));
        lines
    };
    if all - wakeups > burst / 2 {
        return Err(record.fail(ids::ENTERS).kernel(lines()).rule(
            "While the thread is awake it takes the entries by itself. `submit()` enters only \
             to wake it; `submit_and_wait` enters each time. Wait by looking at the completion \
             queue.",
        ));
    }
    // A thread may fall asleep between two NOPs on a busy machine, but not each time.
    if wakeups > burst {
        return Err(record.fail(ids::ENTERS).kernel(lines()).rule(
            "The thread was woken at every turn. It sleeps only if IORING_SQ_NEED_WAKEUP is \
             set in the queue's flags; `submit()` looks, and enters only then.",
        ));
    }
    Ok(())
}
