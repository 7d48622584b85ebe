//! `durable_write`: the program acknowledges a text when an FSYNC has completed that began after
//! the last WRITE.

use std::fs;

use crate::exercise::prelude::*;

const WRITES: &[&str] = &["WRITE", "WRITEV", "WRITE_FIXED"];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let mut measured = Measured::default();
    let path = attempt.folder()?.join("text");
    for length in [attempt.number(20..=60), attempt.number(9_000..=20_000)] {
        let text = attempt.word(length as usize);
        let record = attempt
            .run(format!("The program was given {length} bytes to write."))
            .arg(&path)
            .arg(&text)
            .to_end()?;
        record.need_ring()?;
        record.need_exit()?;
        record.need_all_submitted()?;
        whole(&record, &text, &fs::read(&path).unwrap_or_default())?;
        let flushed = flushed(&record)?;
        said(&record, flushed)?;
        record.need_all_reaped()?;
        measured = Measured::of(&record);
    }
    for _ in 0..2 {
        short(attempt)?;
    }
    Ok(Passed::new(
        "The program printed `durable` after the completion of the FSYNC, and not when a write was \
         short.",
    )
    .measured(measured))
}

fn of_writes(what: &What) -> bool {
    let op = match what {
        What::Submit(submit) => Some(submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref(),
        _ => None,
    };
    op.is_some_and(|op| WRITES.contains(&op) || op == "FSYNC")
}

/// The WRITEs of the file, with the number of their event; not those of the output.
fn writes(record: &Record) -> Vec<(usize, &Submit)> {
    let all = record.events.iter().enumerate();
    all.filter_map(|(at, event)| match &event.what {
        What::Submit(it)
            if WRITES.contains(&it.op.as_str())
                && number(it, "fd") != Some(1) =>
        {
            Some((at, it))
        }
        _ => None,
    })
    .collect()
}

/// The completion of an entry: the number of its event, its time, and its result.
fn answer(record: &Record, seq: u64) -> Option<(usize, u64, i32)> {
    record.events.iter().enumerate().find_map(|(at, event)| match &event.what {
        What::Complete(it) if it.seq == Some(seq) => {
            Some((at, event.us, it.res))
        }
        _ => None,
    })
}

/// The ring has written the text.
fn whole(record: &Record, text: &str, file: &[u8]) -> Result<(), Failure> {
    let fail = |id: Id, rule: &str| {
        Err(record.fail(id).kernel(record.last_lines(of_writes)).rule(rule))
    };
    let results =
        writes(record).into_iter().filter_map(|(_, it)| answer(record, it.seq));
    let bytes: i64 =
        results.map(|(_, _, result)| i64::from(result.max(0))).sum();
    if bytes < text.len() as i64 {
        return fail(
            ids::NO_ENTRY,
            "The WRITEs of the ring have not written the whole text. Write it through the ring, \
             and wait for the completion.",
        );
    }
    if file != text.as_bytes() {
        return fail(
            ids::OUTPUT,
            "At the end the file must hold the text, and nothing else.",
        );
    }
    Ok(())
}

/// The time at which the FSYNC completed that began after the last WRITE had ended.
fn flushed(record: &Record) -> Result<u64, Failure> {
    let writes = writes(record);
    let fail = |id: Id, rule: &str| {
        Err(record.fail(id).kernel(record.last_lines(of_writes)).rule(rule))
    };
    let Some((last_at, last)) = writes.last() else {
        return fail(ids::NO_ENTRY, "There is no WRITE in the ring.");
    };
    let done = answer(record, last.seq).map_or(usize::MAX, |(at, ..)| at);
    let (mut early, mut elsewhere) = (false, false);
    for (at, event) in record.events.iter().enumerate() {
        let What::Submit(fsync) = &event.what else { continue };
        if fsync.op != "FSYNC" {
            continue;
        }
        let files = fsync.file.as_ref().zip(last.file.as_ref());
        if files.is_some_and(|(flushed, written)| flushed != written) {
            elsewhere = true;
            continue;
        }
        let has = |entry: &Submit, name: &str| {
            entry.flags.iter().any(|flag| flag == name)
        };
        let links = has(last, "IO_LINK") || has(last, "IO_HARDLINK");
        let linked = at == last_at + 1 && links;
        let drained = at > *last_at && has(fsync, "IO_DRAIN");
        // With a polling thread the record does not show when an entry was submitted.
        let after = at > done || record.summary.polled && at > *last_at;
        match answer(record, fsync.seq) {
            Some((_, us, 0)) if linked || drained || after => return Ok(us),
            Some((_, _, 0)) => early = true,
            _ => {}
        }
    }
    if early {
        return fail(
            ids::ORDER,
            "This FSYNC need not begin after the WRITE: the kernel may run it first, and then it \
             flushes an empty file. Set IOSQE_IO_LINK on the WRITE, or submit the FSYNC when the \
             WRITE has completed.",
        );
    }
    if elsewhere {
        return fail(
            ids::WRONG_ENTRY,
            "The FSYNC is for another file, and flushes nothing of this one. Flush the file that \
             was written to.",
        );
    }
    fail(
        ids::NO_ENTRY,
        "No FSYNC of the ring has succeeded after the last WRITE.",
    )
}

/// The program prints `durable` after the FSYNC's completion.
fn said(record: &Record, flushed_us: u64) -> Result<(), Failure> {
    const STDOUT: u64 = 1;
    if record.stdout.trim_end() != "durable" {
        let rule = "Print `durable`, and nothing else.";
        return Err(record
            .fail(ids::OUTPUT)
            .kernel([record.printed()])
            .rule(rule));
    }
    let first = record
        .calls
        .iter()
        .find(|call| call.name == "write" && call.args[0] == STDOUT);
    if first.is_some_and(|call| call.us < flushed_us) {
        return Err(record.fail(ids::ORDER).kernel(record.last_lines(of_writes)).rule(
            "The program printed `durable` before the FSYNC had completed. Until that completion \
             a power cut would have lost the text.",
        ));
    }
    Ok(())
}

/// A file that may not grow to the length of the text.
fn short(attempt: &Attempt) -> Result<(), Failure> {
    let path = attempt.folder()?.join("limited");
    let room = attempt.number(100..=900);
    let text = attempt.word(1000 + room as usize);
    let record = attempt
        .run(format!(
            "The program was given {} bytes to write, and a file that may have {room}.",
            text.len()
        ))
        .arg(&path)
        .arg(&text)
        .file_limit(room)
        .to_end()?;
    let fail = |id: Id, rule: &str| {
        let mut kernel = record.last_lines(of_writes);
        kernel.push(record.printed());
        Err(record.fail(id).kernel(kernel).rule(rule))
    };
    if record.stdout.contains("durable") || record.status == Some(0) {
        return fail(
            ids::RESULT,
            "A part of the text is missing in the file, but the program printed `durable` or ended \
             with status 0. A WRITE may be short: compare its result with the length of the text.",
        );
    }
    if record.status.is_none_or(|status| status > 128) {
        record.need_exit()?;
    }
    let tried = writes(&record);
    if tried.is_empty() && record.summary.unseen_entries == 0 {
        return fail(ids::NO_ENTRY, "There is no WRITE in the ring.");
    }
    // The second WRITE asked for the rest, at the right offset.
    let rest = |(_, it): &(usize, &Submit)| {
        let at = number(it, "offset").unwrap_or(u64::MAX);
        // -1 is the file's own position, which is also right.
        at == room || at == u64::MAX
    };
    let Some((_, rest)) = tried.iter().skip(1).find(|it| rest(it)) else {
        return fail(
            ids::LOST,
            "The WRITE was short, and the program did not try to write the rest. Submit a WRITE of \
             the rest, at the offset where the first one ended.",
        );
    };
    match number(rest, "bytes") {
        Some(bytes) if bytes > text.len() as u64 - room => fail(
            ids::WRONG_ENTRY,
            "The WRITE of the rest is longer than the rest.",
        ),
        _ => Ok(()),
    }
}
