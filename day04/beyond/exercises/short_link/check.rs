//! `short_link`: a copy by chains of a READ and a WRITE. The last READ is short.

use std::fs;

use crate::exercise::prelude::*;

const PIECE: usize = 64;
const READS: &[&str] = &["READ", "READV", "READ_FIXED"];
const WRITES: &[&str] = &["WRITE", "WRITEV", "WRITE_FIXED"];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut measured = Measured::default();
    let more = attempt.number(1..=63) as usize;
    for length in [0, more, 3 * PIECE, 3 * PIECE + more] {
        measured = copied(attempt, length)?;
    }
    without_a_source(attempt)?;
    without_room(attempt)?;
    with_too_little_room(attempt)?;
    Ok(Passed::new("The program copied whole pieces by chains, and the short one by a WRITE of its \
                    own.")
        .measured(measured))
}

fn copied(attempt: &Attempt, length: usize) -> Result<Measured, Failure> {
    let (from, to) =
        (attempt.folder()?.join("from"), attempt.folder()?.join("to"));
    let text = if length == 0 { String::new() } else { attempt.word(length) };
    fs::write(&from, &text)
        .map_err(|error| Failure::not_observed(error.to_string()))?;
    let _ = fs::remove_file(&to);
    let record = attempt
        .run(format!("The program was given a file of {length} bytes to copy."))
        .arg(&from)
        .arg(&to)
        .to_end()?;
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    no_write_behind_a_short_read(&record)?;
    same(&record, text.as_bytes(), &fs::read(&to).unwrap_or_default())?;
    through_the_ring(&record, length)?;
    chained(&record, length / PIECE)?;
    record.need_all_reaped()?;
    Ok(Measured::of(&record))
}

fn without_a_source(attempt: &Attempt) -> Result<(), Failure> {
    let folder = attempt.folder()?;
    let record = attempt
        .run("The program was given a folder to copy, so that its READ fails with EISDIR.")
        .arg(folder)
        .arg(folder.join("to"))
        .to_end()?;
    need_failure(&record)
}

fn without_room(attempt: &Attempt) -> Result<(), Failure> {
    let from = attempt.folder()?.join("from");
    fs::write(&from, attempt.word(3 * PIECE))
        .map_err(|error| Failure::not_observed(error.to_string()))?;
    let record = attempt
        .run("The program was given /dev/full to copy to, where a WRITE fails with ENOSPC.")
        .arg(&from)
        .arg("/dev/full")
        .to_end()?;
    need_failure(&record)
}

/// The last WRITE is short, and no later one fails.
fn with_too_little_room(attempt: &Attempt) -> Result<(), Failure> {
    let from = attempt.folder()?.join("from");
    fs::write(&from, attempt.word(3 * PIECE))
        .map_err(|error| Failure::not_observed(error.to_string()))?;
    let record = attempt
        .run("The program was given 192 bytes to copy, to a file that may have 180.")
        .arg(&from)
        .arg(attempt.folder()?.join("limited"))
        .file_limit(180)
        .to_end()?;
    need_failure(&record)
}

fn need_failure(record: &Record) -> Result<(), Failure> {
    match record.status {
        Some(0) => Err(fail(record, ids::RESULT).rule(
            "The copy failed, or a WRITE was short, and the program ended with status 0. End with \
             an error.",
        )),
        Some(status) if status <= 128 => Ok(()),
        _ => record.need_exit(),
    }
}

fn of_copies(what: &What) -> bool {
    let op = match what {
        What::Submit(submit) => Some(submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref(),
        _ => None,
    };
    op.is_some_and(|op| READS.contains(&op) || WRITES.contains(&op))
}

fn fail(record: &Record, id: Id) -> Failure {
    record.fail(id).kernel(record.last_lines(of_copies))
}

fn result(record: &Record, seq: u64) -> Option<i32> {
    record.answers(seq).first().map(|answer| answer.res)
}

/// Each READ with the WRITE that is linked behind it.
fn chains(record: &Record) -> Vec<(&Submit, &Submit)> {
    let links = |it: &Submit| it.flags.iter().any(|flag| flag.contains("LINK"));
    record
        .submits()
        .zip(record.submits().skip(1))
        .filter(|(read, write)| {
            READS.contains(&read.op.as_str())
                && links(read)
                && WRITES.contains(&write.op.as_str())
        })
        .collect()
}

/// Fails if a WRITE ran behind a short READ, as with a hard link.
fn no_write_behind_a_short_read(record: &Record) -> Result<(), Failure> {
    let bytes = |it: &Submit| number(it, "bytes").unwrap_or_default() as i32;
    let wrong = chains(record).into_iter().find(|(read, write)| {
        result(record, read.seq)
            .is_some_and(|got| got < bytes(read) && got < bytes(write))
            && result(record, write.seq).is_some_and(|written| written >= 0)
    });
    if wrong.is_some() {
        return Err(fail(record, ids::FLAGS).rule(
            "A WRITE ran although the READ before it was short: it also wrote old bytes of the \
             buffer. Use a soft link (IO_LINK), which a short READ breaks.",
        ));
    }
    Ok(())
}

fn same(record: &Record, wanted: &[u8], found: &[u8]) -> Result<(), Failure> {
    if found == wanted {
        return Ok(());
    }
    let mut failure = fail(
        record,
        if wanted.starts_with(found) { ids::LOST } else { ids::OUTPUT },
    );
    failure.kernel.push(format!("the copy has {} bytes", found.len()));
    Err(failure.rule(if wanted.starts_with(found) {
        "The copy lacks its last bytes. A short READ breaks its link, and the kernel cancels the \
         WRITE: write the bytes of the short READ by a WRITE of its own."
    } else {
        "The copy has other bytes than the file."
    }))
}

fn through_the_ring(record: &Record, length: usize) -> Result<(), Failure> {
    for ops in [READS, WRITES] {
        let moved: i64 = record
            .submits()
            .filter(|it| ops.contains(&it.op.as_str()))
            .filter_map(|it| result(record, it.seq))
            .map(|result| i64::from(result.max(0)))
            .sum();
        if moved < length as i64 && record.summary.unseen_completions == 0 {
            return Err(fail(record, ids::NO_ENTRY).rule(format!(
                "{}s of the ring moved {moved} bytes of {length}. Read and write through the ring.",
                ops[0]
            )));
        }
    }
    Ok(())
}

/// Fails unless there is a chain for each whole piece, and hardly more calls.
fn chained(record: &Record, whole: usize) -> Result<(), Failure> {
    let chains = chains(record).len();
    if chains < whole && record.summary.unseen_entries == 0 {
        return Err(fail(record, ids::NOT_LINKED).rule(format!(
            "READs that are linked to a WRITE: {chains}; whole pieces: {whole}. Submit the READ \
             and the WRITE of a piece together, with a link.",
        )));
    }
    let (calls, most) = (record.enters().count(), whole + 4);
    if calls > most && !record.summary.polled {
        return Err(fail(record, ids::ENTERS).rule(format!(
            "The program called io_uring_enter {calls} times for {whole} whole pieces; at most \
             {most} are allowed. Submit a chain and wait for both completions by one call.",
        )));
    }
    Ok(())
}
