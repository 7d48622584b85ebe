//! `few_workers`: the program moves the bytes of many FIFOs by SPLICE, without a worker for each
//! silent FIFO.

use std::io::Write;

use crate::exercise::cost::Cost;
use crate::exercise::prelude::*;

const PIPES: usize = 12;
/// Ready pipes take a worker or two, and a busy machine starts another.
const WORKERS: usize = 4;
/// Calls for each line, and again as many for the start and the end. A poll and a SPLICE, each by
/// its own call, take two.
const ENTERS: usize = 8;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let folder = attempt.folder()?;
    let paths: Vec<_> =
        (0..PIPES).map(|_| folder.join(attempt.word(8))).collect();
    let mut pipes = Vec::new();
    for path in &paths {
        pipes.push(fifo(path)?);
    }
    let did = format!(
        "The program was run with {PIPES} FIFOs, and nothing came through them."
    );
    let launch = paths.iter().fold(attempt.run(did), |it, path| it.arg(path));
    let mut run = launch.start()?;
    run.until(|run| {
        let submitted = run.record().submits().count();
        Ok((submitted >= PIPES).then_some(()))
    })?;
    run.settles();
    need_few_workers(&run.record())?;

    // The last FIFO first, so that a program that serves only the first ones fails.
    let mut order: Vec<usize> = (0..PIPES).rev().collect();
    order.push(attempt.number(0..=PIPES as u64 - 2) as usize);
    let mut sent = String::new();
    let before = Cost::of(&run.record());
    for (sent_before, nth) in order.iter().enumerate() {
        if sent_before == PIPES {
            run.did(format!("FIFO {PIPES} ended; the others did not."));
            pipes.pop();
            run.settles();
        }
        let line =
            format!("{}\n", attempt.word(attempt.number(3..=40) as usize));
        run.did(format!(
            "{:?} came through FIFO {}.",
            line.trim_end(),
            nth + 1
        ));
        pipes[*nth].write_all(line.as_bytes()).map_err(|error| {
            Failure::not_observed(format!("writing to a FIFO: {error}"))
        })?;
        sent += &line;
        run.until(|run| Ok((run.stdout().len() >= sent.len()).then_some(())))
            .map_err(starved)?;
        need_few_workers(&run.record())?;
    }
    run.settles();
    let after = Cost::of(&run.record());
    run.did("All FIFOs ended.");
    drop(pipes);
    let record = run.end()?;
    judge(&record, &sent, order.len())?;
    let most = most_workers(&record);
    let mut measured = Measured::of(&record);
    measured.cost = Cost {
        enters: after.enters - before.enters,
        entries: after.entries - before.entries,
    }
    .share(1, order.len() as u64);
    Ok(Passed::new(format!(
        "{PIPES} FIFOs, {} lines, and never more than {most} worker{} at a time.",
        order.len(),
        if most == 1 { "" } else { "s" }
    ))
    .measured(measured))
}

/// Explains a hang of a program in which blocked SPLICEs keep all workers.
fn starved(failure: Failure) -> Failure {
    if failure.id != ids::HANG_IN_FLIGHT {
        return failure;
    }
    failure.rule(
        "A line came, and no SPLICE moved it. A SPLICE of a silent pipe keeps its worker, so with \
         a limit on the workers the other SPLICEs wait. Submit a SPLICE only when its FIFO has \
         bytes: a POLL_ADD completes then.",
    )
}

fn is_workers(what: &What) -> bool {
    matches!(what, What::Workers(_))
}

/// The largest number of workers of the program at a time.
fn most_workers(record: &Record) -> usize {
    let counts = record.events.iter().filter_map(|event| match &event.what {
        What::Workers(workers) => Some(workers.count),
        _ => None,
    });
    counts.max().unwrap_or(0)
}

fn need_few_workers(record: &Record) -> Result<(), Failure> {
    let most = most_workers(record);
    if most <= WORKERS {
        return Ok(());
    }
    let mut kernel = record.lines_at_most(
        2,
        |what| matches!(what, What::Submit(entry) if entry.op == "SPLICE"),
    );
    kernel.extend(record.last_lines(is_workers).into_iter().rev().take(1));
    Err(record.fail(ids::TOO_MANY_WORKERS).kernel(kernel).rule(format!(
        "The kernel runs {most} worker threads for the program, and at most one FIFO had bytes. A \
         SPLICE always goes to a worker and blocks there. First wait by a POLL_ADD, which needs no \
         thread, and link the SPLICE behind it.",
    )))
}

/// Fails unless SPLICEs moved all bytes to the output, in few calls.
fn judge(record: &Record, sent: &str, lines: usize) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_all_submitted()?;
    if record.submitted("SPLICE").is_empty() {
        return Err(record.fail(ids::NO_ENTRY).rule(
            "The kernel got no SPLICE. Move the bytes by SPLICE, without a copy in the program's \
             memory.",
        ));
    }
    if record.stdout != sent {
        return Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(
            "The standard output must have the bytes of the FIFOs, in the order in which they \
             came.",
        ));
    }
    let moved: i64 = record
        .completed("SPLICE")
        .iter()
        .map(|completion| i64::from(completion.res.max(0)))
        .sum();
    if moved < sent.len() as i64 {
        return Err(record.fail(ids::NOT_THROUGH_RING).rule(format!(
            "{} bytes came out, but SPLICE entries moved only {moved}. Move all of them by SPLICE.",
            sent.len()
        )));
    }
    let enters = record.enters().count();
    let enough = ENTERS * (lines + 2 + PIPES / 2);
    if enters > enough {
        return Err(record.fail(ids::ENTERS).rule(format!(
            "{enters} calls of io_uring_enter for {lines} lines; {enough} are enough. Wait for \
             completions, and do not poll in a loop.",
        )));
    }
    record.need_all_reaped()?;
    record.need_exit()
}
