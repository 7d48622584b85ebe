//! `one_call_missing`: the program submits all entries, fetches all completions, and sleeps in
//! between.

use std::io::Write;

use crate::exercise::prelude::*;

/// The number of NOPs: more than the two queues hold.
const TAGS: u64 = 17;
/// One wait for each batch of completions is enough.
const ENTERS: usize = 12;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let path = attempt.folder()?.join(attempt.word(8));
    let mut fifo = fifo(&path)?;
    let first = nops::tag(attempt);
    let tags: Vec<u64> = (first..first + TAGS).collect();
    let did = format!(
        "The program was run with a FIFO and {TAGS} tags. Nothing came through the FIFO."
    );
    let launch = attempt.run(did).arg(&path);
    let mut run =
        tags.iter().fold(launch, |it, tag| it.arg(tag.to_string())).start()?;
    let all = TAGS as usize;
    run.until(|run| Ok((run.stdout().lines().count() >= all).then_some(())))
        .map_err(explain)?;
    run.idles();

    let line = format!("{}\n", attempt.word(attempt.number(5..=60) as usize));
    run.did(format!("{:?} came through the FIFO.", line.trim_end()));
    fifo.write_all(line.as_bytes()).map_err(|error| {
        Failure::not_observed(format!("writing to a FIFO: {error}"))
    })?;
    let record = run.end().map_err(explain)?;
    judge(&record, &tags, line.len())?;
    Ok(Passed::new(
        "One call submits the entries, fetches the completions and waits for them.",
    )
    .measured(Measured::of(&record)))
}

/// Explains a program that sleeps outside the ring: most likely it looks at the queue's memory in
/// between.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::HANG_CALL {
        return failure;
    }
    failure.rule(
        "The program sleeps outside the ring, and at most looks at the queue's memory. Only an \
         enter that asks for completions moves those that found no room to the queue, and finishes \
         the work of a ring with DEFER_TASKRUN. `submit_and_wait(1)` does that, and sleeps until \
         there is a completion; an enter that waits for 0 completions does not.",
    )
}

fn judge(record: &Record, tags: &[u64], length: usize) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_all_submitted()?;
    nops::need_tags(record, tags)?;
    let read = record.completes().any(|completion| {
        matches!(completion.op.as_deref(), Some("READ" | "READV"))
            && completion.res == length as i32
    });
    if !read {
        return Err(record.fail(ids::NO_ENTRY).rule(
            "No READ of the ring returned the FIFO's bytes. Leave the READ in the ring, and fetch \
             its completion.",
        ));
    }
    record.need_answered("NOP", tags)?;
    record.need_all_reaped()?;
    let enters = record.enters().count();
    if enters > ENTERS {
        return Err(record.fail(ids::ENTERS).rule(format!(
            "{enters} calls of io_uring_enter. Wait in the call until there is a completion, and \
             do not poll in a loop.",
        )));
    }
    let mut wanted: Vec<String> =
        tags.iter().map(|tag| format!("nop {tag}")).collect();
    wanted.push(format!("read {length}"));
    let mut printed: Vec<&str> = record.stdout.lines().collect();
    wanted.sort();
    printed.sort_unstable();
    if printed != wanted {
        return Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(format!(
            "Print a line for each completion: `nop TAG` for the {} NOPs, and `read {length}`.",
            tags.len()
        )));
    }
    record.need_exit()
}
