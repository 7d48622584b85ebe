//! `one_call_missing`: all entries are submitted, all completions asked for, and the program
//! sleeps in between.

use std::io::Write;

use crate::exercise::prelude::*;

/// More than the two queues hold.
const TAGS: u64 = 17;
/// A wait for each part that comes is enough.
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
        "All is submitted, asked for and taken. One call did all three.",
    )
    .measured(Measured::of(&record)))
}

/// A program that sleeps elsewhere most likely looks at the queue's memory in between.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::HANG_CALL {
        return failure;
    }
    failure.rule(
        "The program sleeps in a call of its own, and looks at the queue's memory, if at all. What \
         found no room in the queue, and what a ring with DEFER_TASKRUN has to finish, comes there \
         only in an enter that asks for completions. `submit_and_wait(1)` does, and sleeps until \
         there is one; an enter that waits for nothing asks for nothing.",
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
            "No READ of the ring brought what came through the FIFO. Leave it in the ring, and ask for \
             its completion.",
        ));
    }
    record.need_answered("NOP", tags)?;
    record.need_all_reaped()?;
    let enters = record.enters().count();
    if enters > ENTERS {
        return Err(record.fail(ids::ENTERS).rule(format!(
            "{enters} calls of io_uring_enter. Wait in it until there is a completion, and do not ask \
             again and again.",
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
