//! `ring_fd`: every enter names the ring by its registered index.

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let (mut enters, mut measured) = (0, Measured::default());
    for count in [attempt.number(3..=9), attempt.number(10..=30)] {
        let first = nops::tag(attempt);
        let record = attempt
            .run(format!("The program was run as `ring_fd {count} {first}`."))
            .arg(count.to_string())
            .arg(first.to_string())
            .to_end()
            .map_err(explain)?;
        by_index(&record, &(first..first + count).collect::<Vec<_>>())?;
        enters = record.enters().count();
        measured = Measured::of(&record).share(8, count);
    }
    Ok(Passed::new(format!("All {enters} enters named the ring by its index."))
        .measured(measured))
}

/// Explains a hang: the program did not publish its entries, or does not see the completions.
fn explain(failure: Failure) -> Failure {
    if ![ids::HANG_WAIT, ids::EXIT, ids::PANIC].contains(&failure.id) {
        return failure;
    }
    let rule = format!(
        "{} The queues of `split` keep copies of head and tail: `sq.sync()` publishes pushed \
         entries, `cq.sync()` makes new completions visible.",
        failure.rule
    );
    failure.rule(rule)
}

fn by_index(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_exit().map_err(|failure| match refused(record) {
        Some(refused) => refused,
        None if record.summary.never_reaped > 0 => explain(failure),
        None => failure,
    })?;
    record.need_all_submitted()?;
    nops::need_tags(record, tags)?;
    record.need_answered("NOP", tags)?;
    for ring in record.rings_of("NOP") {
        let its = record.of_ring(ring);
        if its.enters().all(indexed) && its.enters().next().is_some() {
            continue;
        }
        let registered = its.events.iter().any(|it| is_registration(&it.what));
        return Err(match registered {
            true => by_descriptor(&its),
            false => not_registered(&its),
        });
    }
    record.need_all_reaped()
}

fn indexed(enter: &Enter) -> bool {
    enter.flags.iter().any(|flag| flag == "REGISTERED_RING")
}

fn is_enter_by_index(what: &What) -> bool {
    matches!(what, What::Enter(enter) if indexed(enter))
}

fn is_enter_by_descriptor(what: &What) -> bool {
    matches!(what, What::Enter(enter) if !indexed(enter))
}

fn is_registration(what: &What) -> bool {
    matches!(what, What::Register(it) if it.op == "REGISTER_RING_FDS" && it.error.is_none())
}

fn is_end(what: &What) -> bool {
    matches!(what, What::Register(it) if it.op == "UNREGISTER_RING_FDS")
}

/// Explains why the kernel refused an enter by an index: no thread or another thread registered the
/// ring, or the number is wrong.
fn refused(record: &Record) -> Option<Failure> {
    let entered =
        record.events.iter().find(|it| is_enter_by_index(&it.what))?;
    let registered =
        record.events.iter().filter(|it| is_registration(&it.what));
    let here = registered.clone().any(|event| event.tid == entered.tid);
    if here && !record.returns().any(|back| back.error.is_some()) {
        return None;
    }
    if registered.count() == 0 {
        return Some(not_registered(record));
    }
    let kernel = record.lines(|what| {
        let back = matches!(what, What::Return(back) if back.error.is_some());
        back || is_registration(what) || is_enter_by_index(what)
    });
    if here {
        return Some(record.fail(ids::RING_FD).kernel(kernel).rule(
            "The kernel refused an enter. With IORING_ENTER_REGISTERED_RING the first argument is \
             the index that the registration returned, not the descriptor.",
        ));
    }
    Some(record.fail(ids::REGISTER).kernel(kernel).rule(
        "One thread registered the ring, and another entered it by that index. Each thread has its \
         own table of registered rings: register in the thread that enters.",
    ))
}

fn not_registered(record: &Record) -> Failure {
    let mut kernel =
        record.lines_at_most(2, |what| matches!(what, What::Enter(_)));
    kernel.push("no IORING_REGISTER_RING_FDS for this ring".to_string());
    record.fail(ids::REGISTER).kernel(kernel).rule(
        "The NOPs went through a ring whose descriptor was never registered. Register it before \
         the first enter: `submitter.register_ring_fd()`.",
    )
}

/// Explains why an enter named the ring by its descriptor: it came too early, too late, or from
/// another submitter.
fn by_descriptor(record: &Record) -> Failure {
    let at = |found: fn(&What) -> bool| {
        record.events.iter().position(|event| found(&event.what))
    };
    let last = record
        .events
        .iter()
        .rposition(|event| is_enter_by_descriptor(&event.what));
    let (registered, ended) = (at(is_registration), at(is_end));
    let rule = if last.is_none() {
        "The program never entered this ring. Enter it, by its index."
    } else if last < registered {
        "These enters came before the registration. Register first, and then submit."
    } else if ended.is_some() && ended < last {
        "The program unregistered the ring, and later enters name the descriptor. Keep the \
         registration to the end."
    } else {
        "Only the `Submitter` that registered the ring knows the index, and `ring.submit_and_wait` \
         makes a new `Submitter` at each call. Keep the first one (`ring.split()`), and submit \
         through it."
    };
    let mut kernel = record.lines(|what| {
        is_registration(what) || is_end(what) || is_enter_by_descriptor(what)
    });
    let all = record.enters().count();
    let count = record.enters().filter(|enter| !indexed(enter)).count();
    kernel.push(format!(
        "enters: {all}; by the descriptor: {count}; by the index: {}",
        all - count
    ));
    record.fail(ids::RING_FD).kernel(kernel).rule(rule)
}
