//! `no_leak`: chains of OPENAT, READ and CLOSE, after which no slot holds a file.

use std::fs;

use crate::exercise::prelude::*;

const OPENS: &[&str] = &["OPENAT", "OPENAT2"];
const READS: &[&str] = &["READ", "READV", "READ_FIXED"];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut measured = Measured::default();
    for files in [attempt.number(2..=4), 3] {
        measured = files_that_are_there(attempt, files)?;
    }
    with_failure(attempt, "a folder, of which the READ fails", "")?;
    with_failure(attempt, "a file that does not exist", "missing")?;
    Ok(Passed::new(
        "Every slot was empty at the end, also behind a READ that failed.",
    )
    .measured(measured))
}

/// This many files: their paths, and their first lines.
fn files(
    attempt: &Attempt,
    count: u64,
) -> Result<Vec<(String, String)>, Failure> {
    let folder = attempt.folder()?;
    (0..count)
        .map(|nth| {
            let path = folder.join(format!("file{nth}"));
            let line = attempt.word(attempt.number(10..=60) as usize);
            fs::write(&path, format!("{line}\nmore\n")).map_err(|error| {
                Failure::not_observed(format!("{}: {error}", path.display()))
            })?;
            Ok((path.display().to_string(), line))
        })
        .collect()
}

fn files_that_are_there(
    attempt: &Attempt,
    count: u64,
) -> Result<Measured, Failure> {
    let files = files(attempt, count)?;
    let mut launch =
        attempt.run(format!("The program was given {count} small files."));
    for (path, _) in &files {
        launch = launch.arg(path);
    }
    let record = launch.to_end()?;
    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    through_slots(&record, files.len())?;
    nothing_left(&record)?;
    printed(&record, &files)?;
    few_enters(&record)?;
    record.need_all_reaped()?;
    // The exercise's par is for three files.
    Ok(Measured::of(&record))
}

/// Two files, and between them a name in the folder that cannot be opened or read.
fn with_failure(
    attempt: &Attempt,
    what: &str,
    name: &str,
) -> Result<(), Failure> {
    let files = files(attempt, 2)?;
    let record = attempt
        .run(format!("The program was given a file, {what}, and a file."))
        .arg(&files[0].0)
        .arg(attempt.folder()?.join(name))
        .arg(&files[1].0)
        .to_end()?;
    if record.status == Some(0) {
        return Err(fail(&record, ids::RESULT).rule(
            "An OPENAT or a READ failed, and the program ended with status 0. Look at the results, \
             and end with an error.",
        ));
    }
    if record.status.is_none_or(|status| status > 128) {
        record.need_exit()?;
    }
    nothing_left(&record)?;
    not_behind_a_failed_open(&record)?;
    printed(&record, &files)?;
    few_enters(&record)
}

fn of_chains(what: &What) -> bool {
    let op = match what {
        What::Submit(submit) => Some(submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref(),
        _ => None,
    };
    op.is_some_and(|op| {
        OPENS.contains(&op) || READS.contains(&op) || op == "CLOSE"
    })
}

fn fail(record: &Record, id: Id) -> Failure {
    record.fail(id).kernel(record.last_lines(of_chains))
}

fn result(record: &Record, submit: &Submit) -> Option<i32> {
    record.answers(submit.seq).first().map(|answer| answer.res)
}

/// Fails unless the ring opened each file into a slot, and read bytes from there.
fn through_slots(record: &Record, files: usize) -> Result<(), Failure> {
    let unsure =
        record.completes().filter(|it| it.ambiguous && it.res >= 0).count();
    let unseen = record.summary.unseen_entries as usize + unsure;
    let opened = record
        .submits()
        .filter(|it| OPENS.contains(&it.op.as_str()) && into_slot(it))
        .filter(|it| result(record, it).is_some_and(|result| result >= 0))
        .count();
    if opened + unseen < files {
        return Err(fail(record, ids::NO_ENTRY).rule(format!(
            "The ring must open each file into a slot. Its OPENATs opened {opened} of {files}."
        )));
    }
    let read = record
        .submits()
        .filter(|it| {
            READS.contains(&it.op.as_str()) && number(it, "slot").is_some()
        })
        .filter(|it| result(record, it).is_some_and(|result| result > 0))
        .count();
    if read + unseen < files {
        return Err(fail(record, ids::NO_ENTRY).rule(format!(
            "The ring must read each file from its slot. Its READs read {read} of {files}."
        )));
    }
    Ok(())
}

/// Fails if the kernel listed a taken slot when the ring was closed.
fn nothing_left(record: &Record) -> Result<(), Failure> {
    let Some(left) = record.left() else {
        return Err(Failure::not_observed(
            "the kernel does not say which slots are taken",
        ));
    };
    if left.slots.is_empty() {
        return Ok(());
    }
    let mut failure = fail(record, ids::NOT_CLOSED);
    let slots: Vec<String> = left.slots.iter().map(u32::to_string).collect();
    failure.kernel.push(format!(
        "slots that held a file when the ring was closed: {}",
        slots.join(", ")
    ));
    Err(failure.rule(
        "A file stayed in its slot. If a READ fails or is short, the kernel cancels the entries \
         linked behind it, also the CLOSE. Link the CLOSE to the READ by a hard link, or submit a \
         separate CLOSE.",
    ))
}

/// With a hard link on the OPENAT the READ runs even if the OPENAT has failed.
fn not_behind_a_failed_open(record: &Record) -> Result<(), Failure> {
    for open in record.submits().filter(|it| OPENS.contains(&it.op.as_str())) {
        if result(record, open).is_none_or(|result| result >= 0) {
            continue;
        }
        // The entries of a chain may have the same `user_data`.
        let cancelled = |read: &Submit| {
            record.completes().any(|it| {
                it.user_data == read.user_data && it.res == -libc::ECANCELED
            })
        };
        let ran = record.submits().find(|it| {
            it.seq == open.seq + 1
                && READS.contains(&it.op.as_str())
                && !cancelled(it)
        });
        if ran.is_some() {
            return Err(fail(record, ids::FLAGS).rule(
                "The OPENAT failed, and the READ behind it still ran: it could have read another \
                 chain's file in that slot. Put a soft link on the OPENAT, so that the READ runs \
                 only after a success.",
            ));
        }
    }
    Ok(())
}

fn printed(record: &Record, files: &[(String, String)]) -> Result<(), Failure> {
    let missing = |line: &&String| {
        !record.stdout.lines().any(|printed| printed == line.as_str())
    };
    match files.iter().map(|(_, line)| line).find(missing) {
        None => Ok(()),
        Some(line) => Err(record
            .fail(ids::OUTPUT)
            .kernel([record.printed()])
            .rule(format!(
                "The program did not print the first line of a file: {line}"
            ))),
    }
}

fn few_enters(record: &Record) -> Result<(), Failure> {
    let calls = record.enters().count();
    if calls <= 2 || record.summary.polled {
        return Ok(());
    }
    Err(record.fail(ids::ENTERS).kernel(record.lines(|what| matches!(what, What::Enter(_)))).rule(
        format!(
            "The program called io_uring_enter {calls} times; at most 2 are allowed. One call \
             submits the chains of all files, and waits for all completions."
        ),
    ))
}
