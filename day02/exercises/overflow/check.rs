//! `overflow`: more completions come than the queue holds. The program fetches and prints all of
//! them.

use crate::exercise::prelude::*;

/// Completions that the queue holds.
const QUEUE: u32 = 8;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    // In one of these runs the last batch is a single completion.
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
        "Of {} completions the queue held {QUEUE}; the kernel kept the others until you fetched \
         them.",
        counts[1]
    ))
    .measured(measured))
}

/// Explains a hang: most likely the program waits for completions and makes no call that fetches
/// them.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::SPIN {
        return failure;
    }
    failure.rule(
        "The completions that found no room wait in the kernel. It moves them to the queue when \
         the program enters it with IORING_ENTER_GETEVENTS: call `submit_and_wait(1)`. Looking at \
         the queue fetches none.",
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

/// The queue has the given size, and some completions found no room in it.
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
            "The completion queue holds {size}. A larger queue only overflows later: leave it at \
             {QUEUE}, so that you see how to handle an overflow."
        ));
    }
    // If the program took none, the queue can have received no more than it holds before the last
    // NOP.
    let before = &record.events[..last_submit(record)];
    let is_completion =
        |event: &&Event| matches!(event.what, What::Complete(_));
    let early = before.iter().filter(is_completion).count();
    let overflowed = record.events.iter().any(|event| is_overflow(&event.what));
    if overflowed && early <= QUEUE as usize {
        return Ok(());
    }
    fail(
        "The program took completions before it had submitted all NOPs, so the queue had room. \
         Submit all NOPs before you take the first completion: then it overflows.",
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
        "The queue was full, and the kernel kept the rest. It moves them to the queue when there \
         is room and the program enters with IORING_ENTER_GETEVENTS (`submit_and_wait(1)`). Take \
         the completions and enter, again and again, until you have all.",
    ))
}

/// The program enters the kernel to fetch completions, no more often than there are completions. It
/// does not wait for them in a sleep.
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
             fetches as many as the queue has room for, up to {QUEUE}: take them all, then enter \
             once."
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
        "The program sleeps, looks at the queue and sleeps again. The kernel has the completions \
         already: an enter with IORING_ENTER_GETEVENTS fetches them at once.",
    ))
}
