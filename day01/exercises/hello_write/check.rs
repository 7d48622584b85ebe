//! `hello_write`: a line that nobody knows beforehand arrives on the standard output by an
//! entry of the ring, and a write that fails is noticed.

use std::fs::OpenOptions;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    // Two words of other lengths each time: a line that was made for one does not fit the other.
    for length in [attempt.number(3..=7), attempt.number(8..=30)] {
        writes(attempt, length as usize)?;
    }
    fails(attempt)?;
    Ok(Passed::new(
        "The kernel wrote the line because an entry said so; and where it could not, you \
         noticed.",
    ))
}

fn writes(attempt: &Attempt, length: usize) -> Result<(), Failure> {
    let text = format!("{} {}", attempt.word(length), attempt.word(4));
    let record = attempt
        .run(format!("The program was run as `hello_write \"{text}\"`."))
        .arg(&text)
        .to_end()?;
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    written::need_line_through_ring(&record, &format!("{text}\n"))?;
    record.need_all_reaped()
}

fn fails(attempt: &Attempt) -> Result<(), Failure> {
    let full =
        OpenOptions::new().write(true).open("/dev/full").map_err(|error| {
            Failure::not_observed(format!("/dev/full: {error}"))
        })?;
    let text = attempt.word(8);
    let record = attempt
        .run(format!(
            "The program was run as `hello_write {text} > /dev/full`."
        ))
        .arg(&text)
        .stdout(full)
        .to_end()?;
    if record.status != Some(0) {
        return Ok(());
    }
    let lines = record.last_lines(written::is_write);
    Err(record
        .fail(ids::RESULT)
        .kernel(lines.into_iter().chain(["exit status 0".to_string()]))
        .rule(
            "The wait succeeded, the write did not. An operation's error is in its completion: \
         `result()` is a negative error number then, and the program is to end with an error.",
        ))
}
