//! `drop_in_flight`: a dropped receive keeps its buffer, and the program cancels it.

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut measured = Measured::default();
    for _ in 0..2 {
        let first = attempt.word(attempt.number(4..=12) as usize);
        let second = attempt.word(attempt.number(13..=20) as usize);
        let record = attempt
            .run(format!(
                "The program was run as `drop_in_flight {first} {second}`."
            ))
            .arg(&first)
            .arg(&second)
            .to_end()?;
        record.need_ring()?;
        one_owner(&record)?;
        record.need_exit()?;
        record.need_all_submitted()?;
        cancelled(&record)?;
        received(&record, [&first, &second])?;
        record.need_all_reaped()?;
        measured = Measured::of(&record);
    }
    Ok(Passed::new(
        "The dropped receive kept its buffer until its completion, and took no bytes of the next \
         one.",
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

/// Fails if the second receive has the buffer of the first one, which is in flight.
fn one_owner(record: &Record) -> Result<(), Failure> {
    let mut receives = record.submits().filter(|it| it.op == "RECV");
    let (Some(first), Some(second)) = (receives.next(), receives.next()) else {
        return Ok(());
    };
    let at = |found: &dyn Fn(&What) -> bool| {
        record.events.iter().position(|it| found(&it.what))
    };
    let ended =
        at(&|it| matches!(it, What::Complete(it) if it.seq == Some(first.seq)));
    let began =
        at(&|it| matches!(it, What::Submit(it) if it.seq == second.seq));
    if ended.is_some() && ended < began || first.addr != second.addr {
        return Ok(());
    }
    Err(fail(record, ids::STALE).rule(
        "The second receive has the buffer of the first one, which was still in flight. Keep the \
         buffer of a dropped receive until you have taken its completion.",
    ))
}

/// Fails unless a cancel ended the first receive.
fn cancelled(record: &Record) -> Result<(), Failure> {
    let by_call = record.registers().any(|it| it.op == "REGISTER_SYNC_CANCEL");
    if !by_call && record.submitted("ASYNC_CANCEL").is_empty() {
        return Err(fail(record, ids::NO_ENTRY).rule(
            "The program dropped a receive and submitted no ASYNC_CANCEL. The receive still waits, \
             and will take the next bytes of its socket. Cancel it when its future is dropped.",
        ));
    }
    let first = record.submits().find(|it| it.op == "RECV");
    let ended = first.is_some_and(|first| {
        record.answers(first.seq).iter().any(|it| it.res == -libc::ECANCELED)
    });
    if ended {
        return Ok(());
    }
    Err(fail(record, ids::LOST).rule(
        "The first receive was not cancelled: it did not complete with ECANCELED. Name its \
         user_data in the ASYNC_CANCEL.",
    ))
}

/// Fails unless both texts came through the ring, and the program printed them in order.
fn received(
    record: &Record,
    [first, second]: [&str; 2],
) -> Result<(), Failure> {
    let came = record.bytes_taken();
    let wanted = (first.len() + second.len()) as u64;
    if came < wanted && record.summary.unseen_entries == 0 {
        return Err(fail(record, ids::NO_ENTRY).rule(format!(
            "Both texts have {wanted} bytes, but the RECVs that were not dropped brought {came}."
        )));
    }
    if record.stdout == format!("{second}\n{first}\n") {
        return Ok(());
    }
    Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(format!(
        "The program must print the text of the second peer, and then that of the first one: \
         {second}, and {first}."
    )))
}
