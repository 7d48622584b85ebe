//! `cancel_and_wait`: what a cancel ends has its buffer until its own completion.

use serde_json::Value;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut measured = Measured::default();
    for kind in ["a part", "nothing", "all"] {
        let length = attempt.number(12..=24);
        let sent = match kind {
            "nothing" => 0,
            "all" => length,
            _ => attempt.number(3..=9),
        };
        let first = attempt.word(sent as usize);
        let second = attempt.word(length as usize);
        let record = attempt
            .run(format!(
                "The program was run as `cancel_and_wait {first:?} {second:?}`: {kind} came in time."
            ))
            .arg(&first)
            .arg(&second)
            .to_end()?;
        record.need_ring()?;
        after_its_completion(&record)?;
        record.need_exit()?;
        record.need_all_submitted()?;
        ended(&record, first.len(), second.len())?;
        received(&record, &first, &second)?;
        record.need_all_reaped()?;
        measured = Measured::of(&record);
    }
    Ok(Passed::new(
        "The buffer was used again after the completion of the RECV that had it, and no byte was lost.",
    )
    .measured(measured))
}

fn fail(record: &Record, id: Id) -> Failure {
    record.fail(id).kernel(
        record.last_lines(|what| {
            matches!(what, What::Submit(_) | What::Complete(_))
        }),
    )
}

/// Nothing was printed, and no other RECV went in, before the first one had completed.
fn after_its_completion(record: &Record) -> Result<(), Failure> {
    let fail = |rule: &str| {
        let failure = fail(record, ids::ORDER).rule(rule);
        Err(failure.book("when-it-goes-wrong.html#pitfall-limit"))
    };
    let mut events = record.events.iter().enumerate();
    let mut recvs = events.clone().filter_map(|(at, it)| match &it.what {
        What::Submit(it) if it.op == "RECV" => Some((at, it.seq)),
        _ => None,
    });
    let (Some((_, first)), again) = (recvs.next(), recvs.next()) else {
        return Ok(());
    };
    let ended = events.find(
        |(_, it)| matches!(&it.what, What::Complete(it) if it.seq == Some(first)),
    );
    if again.is_some_and(|(at, _)| ended.is_none_or(|(end, _)| at < end)) {
        return fail(
            "The second RECV went in before the first one had completed. A cancel that completes \
             with 0 has told the RECV to end; until the RECV's own completion the buffer is the \
             kernel's. Wait for both completions.",
        );
    }
    let printed = record
        .calls
        .iter()
        .find(|call| call.into.as_ref() == Some(&record.stdout_is));
    if printed.zip(ended).is_some_and(|(call, (_, end))| call.us < end.us) {
        return fail(
            "The program printed what was in the buffer before the first RECV had completed. \
             Until then the kernel may write there, and only the result of that completion says \
             how much came.",
        );
    }
    Ok(())
}

/// The first RECV was cancelled, if it had not all that it waited for, and says what it brought.
fn ended(record: &Record, sent: usize, length: usize) -> Result<(), Failure> {
    let cancels = record.events.iter().any(|event| match &event.what {
        What::Submit(it) => it.op == "ASYNC_CANCEL",
        What::Register(it) => it.op == "REGISTER_SYNC_CANCEL",
        _ => false,
    });
    if !cancels && sent < length {
        return Err(fail(record, ids::NO_ENTRY).rule(
            "The first RECV waits for more than will come, and the ring got no ASYNC_CANCEL.",
        ));
    }
    let first = record.submits().find(|it| it.op == "RECV");
    let waits = |recv: &Submit| {
        let flags = recv.details.get("msg_flags").and_then(Value::as_array);
        flags.is_some_and(|flags| flags.contains(&"MSG_WAITALL".into()))
    };
    if first.is_some_and(|recv| !waits(recv)) {
        return Err(fail(record, ids::AS_GIVEN).rule(
            "The first RECV has no MSG_WAITALL, so it ends with the first bytes and nothing is \
             left to cancel. Leave `push_recv` as it is.",
        ));
    }
    let wanted = if sent == 0 { -libc::ECANCELED } else { sent as i32 };
    let result = first
        .and_then(|it| record.answers(it.seq).first().map(|answer| answer.res));
    if result == Some(wanted) {
        return Ok(());
    }
    Err(fail(record, ids::LOST).rule(format!(
        "The first RECV must bring all that was sent, {sent} bytes, and be cancelled if there is \
         nothing: by its user_data in the cancel."
    )))
}

/// Both texts came through the ring, and were printed in order.
fn received(record: &Record, first: &str, second: &str) -> Result<(), Failure> {
    let came = record.bytes_taken();
    let wanted = (first.len() + second.len()) as u64;
    if came < wanted && record.summary.unseen_entries == 0 {
        return Err(fail(record, ids::NO_ENTRY).rule(format!(
            "Both texts have {wanted} bytes, and the RECVs of the ring brought {came}."
        )));
    }
    if record.stdout == format!("{first}\n{second}\n") {
        return Ok(());
    }
    let mut failure = fail(record, ids::OUTPUT);
    failure.kernel.push(record.printed());
    Err(failure.rule(format!(
        "It must print what came from the first neighbour, \"{first}\", and in the next line what \
         came from the second, {second}. The RECV's own completion says how much came; the \
         cancel's result does not."
    )))
}
