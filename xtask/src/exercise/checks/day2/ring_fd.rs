//! `ring_fd`: every enter names the ring by its registered index.

use super::super::nops;
use crate::exercise::attempt::Attempt;
use crate::exercise::failure::{Failure, Passed};
use crate::exercise::ids;
use crate::exercise::record::Record;
use crate::trace::event::{Enter, What};

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut enters = 0;
    for count in [attempt.number(3..=9), attempt.number(10..=30)] {
        let first = nops::tag(attempt);
        let record = attempt
            .run(format!("The program was run as `ring_fd {count} {first}`."))
            .arg(count.to_string())
            .arg(first.to_string())
            .to_end()
            .map_err(explain)?;
        by_index(&record, &(first..first + count).collect::<Vec<_>>())?;
        enters = record.summary.enters;
    }
    Ok(Passed::new(format!("All of the {enters} enters named the ring by its index.")))
}

/// With queues of its own a program waits for what it never published.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::HANG_WAIT {
        return failure;
    }
    let rule = format!(
        "{} The queues of `split` keep copies of head and tail: `sq.sync()` publishes what was \
         pushed, `cq.sync()` shows what has come.",
        failure.rule
    );
    failure.rule(rule)
}

fn indexed(enter: &Enter) -> bool {
    enter.flags.iter().any(|flag| flag == "REGISTERED_RING")
}

fn by_index(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    nops::need_tags(record, tags)?;
    if !record.enters().any(indexed) {
        need_registration(record)?;
    }
    let plain = record.enters().filter(|enter| !indexed(enter)).count();
    if plain > 0 || record.enters().next().is_none() {
        let mut kernel = record.lines_at_most(1, is_registration);
        kernel.extend(
            record.lines_at_most(1, |what| matches!(what, What::Enter(enter) if !indexed(enter))),
        );
        let all = record.enters().count();
        kernel.push(format!(
            "enters: {all}; by the descriptor: {plain}; by the index: {}",
            all - plain
        ));
        return Err(record.fail(ids::RING_FD).kernel(kernel).rule(
            "The index is remembered by the `Submitter` that registered, and by no other; \
             `ring.submit_and_wait` makes a new one at each call. Register first, keep that \
             submitter (`ring.split()`), and submit through it.",
        ));
    }
    record.need_all_reaped()
}

fn is_registration(what: &What) -> bool {
    matches!(what, What::Register(register) if register.op == "REGISTER_RING_FDS")
}

fn need_registration(record: &Record) -> Result<(), Failure> {
    let registrations = || record.lines(is_registration);
    if record.registers().any(|register| register.op == "REGISTER_RING_FDS") {
        return Ok(());
    }
    let mut kernel = registrations();
    if kernel.is_empty() {
        kernel = record.lines_at_most(2, |what| matches!(what, What::Enter(_)));
        kernel.push("no IORING_REGISTER_RING_FDS".to_string());
    }
    Err(record.fail(ids::REGISTER).kernel(kernel).rule(
        "Before the first enter the ring's descriptor was to be registered: \
         `submitter.register_ring_fd()`.",
    ))
}
