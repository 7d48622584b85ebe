//! `drop_in_flight`: a receive that is dropped keeps its buffer, and is cancelled.

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
        "The receive that was dropped had its buffer to the end, and took no byte with it.",
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

/// The second receive has another buffer than the first, which is in flight. The two buffers of
/// the program have different lengths.
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
    if ended.is_some() && ended < began
        || number(first, "bytes") != number(second, "bytes")
    {
        return Ok(());
    }
    Err(fail(record, ids::STALE).rule(
        "The second receive got the buffer of the first one, which was still in flight: its length \
         says so. Keep the buffer of a dropped receive until you have taken its completion.",
    ))
}

/// The first receive was ended by a cancel.
fn cancelled(record: &Record) -> Result<(), Failure> {
    if record.submitted("ASYNC_CANCEL").is_empty() {
        return Err(fail(record, ids::NO_ENTRY).rule(
            "A receive was dropped, and no ASYNC_CANCEL went in. The receive waits on, and takes \
             the next bytes of its socket. Cancel it when its future is dropped.",
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

/// Both texts came through the ring, and were printed in order.
fn received(
    record: &Record,
    [first, second]: [&str; 2],
) -> Result<(), Failure> {
    let came = record.bytes_taken();
    let wanted = (first.len() + second.len()) as u64;
    if came < wanted && record.summary.unseen_entries == 0 {
        return Err(fail(record, ids::NO_ENTRY).rule(format!(
            "Both texts have {wanted} bytes. RECVs of the ring that were not lost brought {came}."
        )));
    }
    if record.stdout == format!("{second}\n{first}\n") {
        return Ok(());
    }
    Err(record.fail(ids::OUTPUT).kernel([record.printed()]).rule(format!(
        "It must print what the second peer sent, and then what the first one sent: {second}, \
         and {first}."
    )))
}
