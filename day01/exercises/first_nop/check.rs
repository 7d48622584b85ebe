//! `first_nop`: one NOP with the checker's tag goes in, its completion is taken, and the
//! program prints what came back.

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut enters = 0;
    // Twice: an answer that was made for one tag does not fit the other.
    for _ in 0..2 {
        let tag = attempt.tag();
        let record = attempt
            .run(format!("The program was run as `first_nop {tag}`."))
            .arg(tag.to_string())
            .to_end()?;
        one_nop(&record, tag)?;
        enters = record.summary.enters;
    }
    Ok(Passed::new(format!(
        "The kernel took one NOP and gave your tag back; calls of io_uring_enter: {enters}."
    )))
}

fn one_nop(record: &Record, tag: u64) -> Result<(), Failure> {
    record.need_exit()?;
    record.need_entries("NOP", 1)?;
    let nops = record.submitted("NOP");
    let lines = || {
        record.lines(|what| matches!(what, What::Submit(_) | What::Complete(_)))
    };
    if !nops.iter().any(|nop| nop.user_data == user_data(tag)) {
        return Err(record.fail(ids::TAG).kernel(lines()).rule(format!(
            "The entry was to carry the tag {tag} ({}) as its user_data: that is all the kernel \
             gives back to tell one completion from another.",
            user_data(tag)
        )));
    }
    if record.submits().count() > 1 {
        return Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(lines()).rule(
            format!(
                "One entry was asked for; the kernel took {}.",
                record.submits().count()
            ),
        ));
    }
    record.need_all_submitted()?;
    record.need_all_reaped()?;
    let printed = record
        .stdout
        .split(|letter: char| !letter.is_ascii_digit())
        .any(|word| word == tag.to_string());
    if !printed {
        let said = record.stdout.lines().next().unwrap_or("nothing");
        let mut kernel = lines();
        kernel.push(format!("printed: {said}"));
        return Err(record.fail(ids::OUTPUT).kernel(kernel).rule(format!(
            "The program was to print the tag that came back, {tag}."
        )));
    }
    Ok(())
}
