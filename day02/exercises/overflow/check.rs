//! `overflow`: more completions than the queue holds; all of them are fetched and printed.

use crate::exercise::prelude::*;

/// Completions that the queue is to hold.
const QUEUE: u32 = 8;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut sent = 0;
    for _ in 0..2 {
        let count = attempt.number(27..=60);
        let first = nops::tag(attempt);
        let record = attempt
            .run(format!("The program was run as `overflow {count} {first}`."))
            .arg(count.to_string())
            .arg(first.to_string())
            .to_end()
            .map_err(explain)?;
        let tags: Vec<u64> = (first..first + count).collect();
        none_lost(&record, &tags)?;
        sent = count;
    }
    Ok(Passed::new(format!(
        "The queue held {QUEUE}, the kernel kept the others of {sent} until you fetched them."
    )))
}

/// A program that stands still most likely waits for completions that nobody fetches.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::SPIN {
        return failure;
    }
    failure.rule(
        "The completions that found no room wait in the kernel, and come to the queue when the \
         program enters it with IORING_ENTER_GETEVENTS. Looking at the queue again and again \
         brings none: `submit_and_wait(1)` does.",
    )
}

fn is_overflow(what: &What) -> bool {
    matches!(what, What::Return(back) if back.overflow)
}

fn none_lost(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    nops::need_tags(record, tags)?;
    overflowed(record)?;
    let posted = record.completed("NOP").len();
    if record.summary.closed_overflowing > 0 || posted < tags.len() {
        let mut kernel = record.lines_at_most(1, is_overflow);
        kernel.extend(record.last_lines(|what| matches!(what, What::Close(_))));
        kernel.push(format!(
            "completions that came to the queue: {posted}; NOPs submitted: {}",
            tags.len()
        ));
        return Err(record.fail(ids::LOST).kernel(kernel).rule(
            "The queue was full, and the kernel kept the rest. They come when there is room and \
             the program enters with IORING_ENTER_GETEVENTS (`submit_and_wait(1)`): take, \
             enter, and again, until all have come.",
        ));
    }
    record.need_all_reaped()?;
    nops::need_printed(record, tags)
}

/// The task was done with a queue that is too small for it.
fn overflowed(record: &Record) -> Result<(), Failure> {
    let kernel = record.lines_at_most(1, |what| matches!(what, What::Setup(_)));
    let kernel = kernel.into_iter().take(2);
    let larger = record.setups().find_map(|setup| {
        setup
            .granted
            .as_ref()
            .map(|granted| granted.cq_entries)
            .filter(|size| *size > QUEUE)
    });
    if let Some(size) = larger {
        return Err(record.fail(ids::NO_OVERFLOW).kernel(kernel).rule(format!(
            "The completion queue holds {size}. A larger one overflows later, not never; here \
             it was to stay at {QUEUE}, so that you see what to do then."
        )));
    }
    // Before the last NOP no more can have come than the queue holds, if none was taken.
    let last = record
        .events
        .iter()
        .rposition(|event| matches!(event.what, What::Submit(_)));
    let early = record.events[..last.unwrap_or(0)]
        .iter()
        .filter(|event| matches!(event.what, What::Complete(_)))
        .count();
    let overflowed = record.events.iter().any(|event| is_overflow(&event.what));
    if overflowed && early <= QUEUE as usize {
        return Ok(());
    }
    Err(record.fail(ids::NO_OVERFLOW).kernel(kernel).rule(
        "Completions were taken while there was more to submit, so the queue had room. All NOPs \
         were to be submitted before the first completion is taken: then it overflows.",
    ))
}
