//! `in_the_epoll_loop`: an eventfd wakes an epoll loop, which then asks the ring for its
//! completions, takes them all, and sleeps again.

use std::fs::File;
use std::io::Write;

use crate::exercise::prelude::*;

/// The first one is not the ring's.
const FIFOS: usize = 7;
/// Lines that come one after the other.
const LINES: u64 = 8;
/// Calls for each line; two signals and three calls are usual.
const ENTERS: usize = 6;
/// Calls while nothing happens: the last one may just have begun.
const IDLE: usize = 2;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let folder = attempt.folder()?;
    let mut launch = attempt.run(format!(
        "The program was run with {FIFOS} FIFOs, and a line was in each."
    ));
    let mut fifos = Fifos::default();
    for nth in 0..FIFOS {
        let path = folder.join(attempt.word(8));
        fifos.open.push(Some(fifo(&path)?));
        fifos.send(nth, &line(attempt, 3..=60))?;
        launch = launch.arg(&path);
    }
    let mut run = launch.start()?;
    fifos.need_printed(&mut run)?;
    need_rest(&mut run)?;

    let mut measured = one_by_one(&mut run, LINES, |run| {
        let nth = attempt.number(1..=FIFOS as u64 - 1) as usize;
        fifos.say(run, nth, &line(attempt, 3..=60))
    })?;
    // They say that a wait in the ring would do: not here.
    measured.remarks.clear();
    fifos.say(&mut run, 0, &line(attempt, 3..=60))?;

    run.did("A line came through each FIFO at once.");
    for nth in 0..FIFOS {
        fifos.send(nth, &line(attempt, 3..=60))?;
    }
    fifos.need_printed(&mut run)?;
    fifos.say(&mut run, FIFOS - 1, &line(attempt, 140..=250))?;
    run.settles();
    fifos.say(&mut run, 0, &line(attempt, 3..=60))?;
    need_rest(&mut run)?;
    need_few_enters(&run.record(), fifos.sent.lines().count())?;

    run.did("The second FIFO ended, and the others did not.");
    fifos.open[1] = None;
    run.settles();
    fifos.say(&mut run, 2, &line(attempt, 3..=60))?;
    run.did("All FIFOs ended.");
    fifos.open.clear();
    let record = run.end()?;
    judge(&record, &fifos)?;
    Ok(Passed::new(format!(
        "{} lines, and the loop slept in epoll_wait alone.",
        fifos.sent.lines().count()
    ))
    .measured(measured))
}

fn line(attempt: &Attempt, bytes: std::ops::RangeInclusive<u64>) -> String {
    format!("{}\n", attempt.word(attempt.number(bytes) as usize))
}

/// The FIFOs, and what was sent through them.
#[derive(Default)]
struct Fifos {
    open: Vec<Option<File>>,
    sent: String,
    /// Bytes for the ring.
    by_ring: usize,
}

impl Fifos {
    fn send(&mut self, nth: usize, line: &str) -> Result<(), Failure> {
        let fifo = self.open[nth].as_mut();
        fifo.map_or(Ok(()), |fifo| fifo.write_all(line.as_bytes())).map_err(
            |error| {
                Failure::not_observed(format!("writing to a FIFO: {error}"))
            },
        )?;
        self.sent += line;
        self.by_ring += if nth == 0 { 0 } else { line.len() };
        Ok(())
    }

    /// Sends a line, and sees it printed.
    fn say(
        &mut self,
        run: &mut Run,
        nth: usize,
        line: &str,
    ) -> Result<(), Failure> {
        run.did(format!(
            "{:?} came through FIFO {}.",
            line.trim_end(),
            nth + 1
        ));
        self.send(nth, line)?;
        self.need_printed(run)
    }

    fn need_printed(&self, run: &mut Run) -> Result<(), Failure> {
        let all = self.sent.len();
        run.until(|run| Ok((run.stdout().len() >= all).then_some(())))
            .map_err(explain)
    }
}

/// What a program that sleeps over a line has most likely done.
fn explain(failure: Failure) -> Failure {
    let rule = match failure.id {
        ids::HANG_CALL => {
            "The loop sleeps, and the ring has something, or the line was never read. A ring with \
             DEFER_TASKRUN posts its completions when its thread enters it and asks for them, with \
             GETEVENTS. Read the eventfd before that: a signal that comes later must stay."
        }
        ids::HANG_NOT_REAPED => {
            "The count of an eventfd is that of its signals, and one signal can stand for many \
             completions. Take all that are there."
        }
        ids::HANG_IN_FLIGHT => {
            "The program sleeps in its ring, where the first FIFO cannot wake it. An eventfd also \
             signals what was taken already. Ask for completions, and wait for none."
        }
        _ => return failure,
    };
    failure.rule(rule)
}

/// While nothing comes, the program sleeps.
fn need_rest(run: &mut Run) -> Result<(), Failure> {
    run.settles();
    run.did("Nothing came through the FIFOs for a while.");
    let from = run.clock();
    run.idles();
    let to = run.clock();
    let record = run.record();
    let enters = record.events.iter().filter(|event| {
        (from..to).contains(&event.us) && matches!(event.what, What::Enter(_))
    });
    let enters = enters.count();
    let calls = record.calls_between(from, to).count();
    if enters + calls <= IDLE && record.burnt.as_millis() < 100 {
        return Ok(());
    }
    Err(record
        .fail(ids::SPIN)
        .kernel([format!(
            "{enters} calls of io_uring_enter, {calls} other calls, {} ms of CPU time",
            record.burnt.as_millis()
        )])
        .rule(
            "The program does not sleep while there is nothing to do. `epoll_wait` returns at once \
             as long as the eventfd is not read, and after a limit of time. Read the eventfd, and \
             set no limit.",
        ))
}

fn need_few_enters(record: &Record, lines: usize) -> Result<(), Failure> {
    let enters = record.enters().count();
    if enters <= ENTERS * (lines + FIFOS) {
        return Ok(());
    }
    Err(record.fail(ids::ENTERS).rule(format!(
        "{enters} calls of io_uring_enter for {lines} lines. A call or two for each signal of the \
         eventfd are enough.",
    )))
}

fn judge(record: &Record, fifos: &Fifos) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_all_submitted()?;
    let deferred = |setup: &Setup| {
        let granted = setup.granted.as_ref();
        granted
            .is_some_and(|it| it.flags.iter().any(|it| it == "DEFER_TASKRUN"))
    };
    if !record.setups().all(deferred) {
        return Err(record
            .fail(ids::SETUP)
            .kernel(record.lines(|what| matches!(what, What::Setup(_))))
            .rule("The ring must keep DEFER_TASKRUN."));
    }
    let waits = record.plain_calls(&WAITS[4..=6]);
    if waits.len() < LINES as usize {
        return Err(record.fail(ids::AS_GIVEN).rule(format!(
            "The program called epoll_wait {} times for {} lines. Leave the epoll loop in place: \
             the program has to sleep there.",
            waits.len(),
            fifos.sent.lines().count()
        )));
    }
    let limit = waits.iter().find(|call| match call.name.as_str() {
        "epoll_pwait2" => call.args[3] != 0,
        _ => call.args[3] as i32 > 0,
    });
    if let Some(call) = limit {
        return Err(record.fail(ids::SPIN).rule(format!(
            "The program called {} with a limit of time. Sleep there until something comes: the \
             eventfd says when the ring has something.",
            call.name
        )));
    }
    let mut wanted: Vec<&str> = fifos.sent.lines().collect();
    let mut printed: Vec<&str> = record.stdout.lines().collect();
    wanted.sort_unstable();
    printed.sort_unstable();
    if printed != wanted {
        return Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(
            "The standard output must be the lines that came through the FIFOs.",
        ));
    }
    let reads = record
        .completes()
        .filter(|it| it.op.as_deref().is_some_and(|op| op.starts_with("READ")));
    let moved: usize = reads.map(|it| it.res.max(0) as usize).sum();
    if moved < fifos.by_ring {
        return Err(record.fail(ids::NOT_THROUGH_RING).rule(format!(
            "{} bytes came through the FIFOs of the ring, and READ entries moved {moved}.",
            fifos.by_ring
        )));
    }
    record.need_all_reaped()?;
    record.need_exit()
}
