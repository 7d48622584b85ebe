//! `few_workers`: what arrives in many silent FIFOs is moved by SPLICE, and not by a worker for
//! each of them.

use std::io::Write;

use crate::exercise::cost::Cost;
use crate::exercise::prelude::*;

const PIPES: usize = 12;
/// Pipes that are ready take a worker or two, and a busy machine starts another.
const WORKERS: usize = 4;
/// Calls for each line, and as many at both ends: poll and splice one by one take two.
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

    // The last first: a program that serves the first ones only has no luck.
    let mut order: Vec<usize> = (0..PIPES).rev().collect();
    order.push(attempt.number(0..=PIPES as u64 - 2) as usize);
    let mut sent = String::new();
    let before = Cost::of(&run.record());
    for (sent_before, nth) in order.iter().enumerate() {
        if sent_before == PIPES {
            run.did(format!("FIFO {PIPES} ended, and the others did not."));
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

/// What a program that has too few workers for what blocks them looks like.
fn starved(failure: Failure) -> Failure {
    if failure.id != ids::HANG_IN_FLIGHT {
        return failure;
    }
    failure.rule(
        "A line came, and no SPLICE moved it. A SPLICE of a silent pipe keeps its worker, so a limit \
         for the workers lets the others wait. Submit a SPLICE only when its FIFO has something: \
         POLL_ADD says so.",
    )
}

fn is_workers(what: &What) -> bool {
    matches!(what, What::Workers(_))
}

/// The most workers that the kernel had for the program at a time.
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
        "The kernel runs {most} worker threads for the program, and at most one FIFO had something. A \
         SPLICE always goes to a worker and blocks there. Let a POLL_ADD wait in its place, which \
         needs no thread, and submit the SPLICE behind it.",
    )))
}

/// All that was sent came out, by SPLICE, in not too many calls.
fn judge(record: &Record, sent: &str, lines: usize) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_all_submitted()?;
    if record.submitted("SPLICE").is_empty() {
        return Err(record.fail(ids::NO_ENTRY).rule(
            "The kernel got no SPLICE. Let SPLICE move the bytes, so that the program never has them.",
        ));
    }
    if record.stdout != sent {
        return Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(
            "The standard output must be what came through the FIFOs, in the order in which it came.",
        ));
    }
    let moved: i64 = record
        .completed("SPLICE")
        .iter()
        .map(|completion| i64::from(completion.res.max(0)))
        .sum();
    if moved < sent.len() as i64 {
        return Err(record.fail(ids::NOT_THROUGH_RING).rule(format!(
            "{} bytes came out, and SPLICE entries moved {moved}. Let them move all.",
            sent.len()
        )));
    }
    let enters = record.enters().count();
    let enough = ENTERS * (lines + 2 + PIPES / 2);
    if enters > enough {
        return Err(record.fail(ids::ENTERS).rule(format!(
            "{enters} calls of io_uring_enter for {lines} lines, and {enough} are plenty. Wait for \
             completions, and do not ask again and again whether there is something.",
        )));
    }
    record.need_all_reaped()?;
    record.need_exit()
}
