//! `overflow`: more completions than the queue holds; all of them are fetched and printed.

use crate::exercise::prelude::*;

/// Completions that the queue holds.
const QUEUE: u32 = 8;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    // Once the last batch that is fetched holds a single completion.
    let alone = u64::from(QUEUE) * attempt.number(4..=6) + 1;
    let counts = [alone, attempt.number(27..=60)];
    let mut measured = Measured::default();
    for count in counts {
        let first = nops::tag(attempt);
        let record = attempt
            .run(format!("The program was run as `overflow {count} {first}`."))
            .arg(count.to_string())
            .arg(first.to_string())
            .to_end()
            .map_err(explain)?;
        let tags: Vec<u64> = (first..first + count).collect();
        none_lost(&record, &tags)?;
        measured = Measured::of(&record).share(u64::from(QUEUE), count);
    }
    Ok(Passed::new(format!(
        "The queue held {QUEUE}, the kernel kept the others of {} until you fetched them.",
        counts[1]
    ))
    .measured(measured))
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

fn none_lost(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    nops::need_tags(record, tags)?;
    need_overflow(record)?;
    need_all_fetched(record, tags.len() as u64)?;
    record.need_answered("NOP", tags)?;
    record.need_all_reaped()?;
    need_few_enters(record, tags.len())?;
    nops::need_printed(record, tags)
}

fn is_overflow(what: &What) -> bool {
    matches!(what, What::Return(back) if back.overflow)
}

/// The queue was as small as given, and completions found no room in it.
fn need_overflow(record: &Record) -> Result<(), Failure> {
    let kernel = record
        .lines_at_most(1, |what| matches!(what, What::Setup(_)))
        .into_iter()
        .take(2);
    let fail = |rule: &str| {
        Err(record.fail(ids::NO_OVERFLOW).kernel(kernel).rule(rule))
    };
    let granted = record.setups().filter_map(|setup| setup.granted.as_ref());
    let sizes = granted.chain(record.resized()).map(|it| it.cq_entries);
    if let Some(size) = sizes.max().filter(|size| *size > QUEUE) {
        return fail(&format!(
            "The completion queue holds {size}. A larger one overflows later, not never: leave \
             it at {QUEUE}, so that you see what to do then."
        ));
    }
    // Before the last NOP no more can have come than the queue holds, if none was taken.
    let before = &record.events[..last_submit(record)];
    let is_completion =
        |event: &&Event| matches!(event.what, What::Complete(_));
    let early = before.iter().filter(is_completion).count();
    let overflowed = record.events.iter().any(|event| is_overflow(&event.what));
    if overflowed && early <= QUEUE as usize {
        return Ok(());
    }
    fail(
        "Completions were taken while there was more to submit, so the queue had room. Submit \
         all NOPs before you take the first completion: then it overflows.",
    )
}

/// The place of the last entry among the events.
fn last_submit(record: &Record) -> usize {
    let is_submit = |event: &Event| matches!(event.what, What::Submit(_));
    record.events.iter().rposition(is_submit).unwrap_or_default()
}

fn need_all_fetched(record: &Record, count: u64) -> Result<(), Failure> {
    let came = record.summary.all_completions();
    if record.summary.closed_overflowing == 0 && came >= count {
        return Ok(());
    }
    let mut kernel = record.lines_at_most(1, is_overflow);
    kernel.extend(record.last_lines(|what| matches!(what, What::Close(_))));
    kernel.push(format!(
        "completions that came to the queue: {came}; NOPs submitted: {count}"
    ));
    Err(record.fail(ids::LOST).kernel(kernel).rule(
        "The queue was full, and the kernel kept the rest. They come when there is room and the \
         program enters with IORING_ENTER_GETEVENTS (`submit_and_wait(1)`): take, enter, and \
         again, until all have come.",
    ))
}

/// The program enters to fetch, no more often than there are completions, and does not sleep
/// elsewhere until some have come.
fn need_few_enters(record: &Record, count: usize) -> Result<(), Failure> {
    let after = &record.events[last_submit(record)..];
    let enters = || {
        let enter = |event: &&Event| matches!(event.what, What::Enter(_));
        after.iter().filter(enter).count()
    };
    if enters() > count {
        let mut kernel =
            record.last_lines(|what| matches!(what, What::Enter(_)));
        kernel.push(format!("enters after the last NOP: {}", enters()));
        return Err(record.fail(ids::ENTERS).kernel(kernel).rule(format!(
            "The program entered the kernel more often than there are completions. One enter \
             fetches as many as there is room for, up to {QUEUE}: take them all, then enter once."
        )));
    }
    let from = after.first().map_or(0, |event| event.us);
    let sleeps = record
        .calls_between(from, u64::MAX)
        .filter(|call| call.name.ends_with("nanosleep"))
        .count();
    if sleeps == 0 || record.summary.polled {
        return Ok(());
    }
    let kernel = [format!("sleeps after the last NOP: {sleeps}")];
    Err(record.fail(ids::SPIN).kernel(kernel).rule(
        "The program sleeps, looks at the queue and sleeps again. An enter with \
         IORING_ENTER_GETEVENTS fetches what the kernel keeps: there is nothing to wait for.",
    ))
}
