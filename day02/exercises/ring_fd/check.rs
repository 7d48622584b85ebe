//! `ring_fd`: every enter names the ring by its registered index.

use crate::exercise::prelude::*;

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
    Ok(Passed::new(format!(
        "Enters that named the ring by its index: {enters}, all there were."
    )))
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
    if record.enters().next().is_none()
        || record.enters().any(|enter| !indexed(enter))
    {
        return Err(by_descriptor(record));
    }
    record.need_all_reaped()
}

/// Why an enter named the ring by its descriptor: too early, too late, or by another submitter.
fn by_descriptor(record: &Record) -> Failure {
    let plain =
        |what: &What| matches!(what, What::Enter(enter) if !indexed(enter));
    let ended = |what: &What| matches!(what, What::Register(register) if register.op == "UNREGISTER_RING_FDS");
    let at = |found: &dyn Fn(&What) -> bool| {
        record.events.iter().position(|event| found(&event.what))
    };
    let last = record.events.iter().rposition(|event| plain(&event.what));
    let (registered, unregistered) = (at(&is_registration), at(&ended));
    let rule = if last.is_none() {
        "No enter came at all, so nobody can see how it names the ring."
    } else if last < registered {
        "Those enters came before the registration. Register first, and then submit."
    } else if unregistered.is_some() && unregistered < last {
        "The registration was taken back, and the enters go by the descriptor again."
    } else {
        "The index is remembered by the `Submitter` that registered, and by no other; \
         `ring.submit_and_wait` makes a new one at each call. Keep that submitter \
         (`ring.split()`), and submit through it."
    };
    let mut kernel = record
        .lines(|what| is_registration(what) || ended(what) || plain(what));
    let all = record.enters().count();
    let count = record.enters().filter(|enter| !indexed(enter)).count();
    kernel.push(format!(
        "enters: {all}; by the descriptor: {count}; by the index: {}",
        all - count
    ));
    record.fail(ids::RING_FD).kernel(kernel).rule(rule)
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
