//! `in_order`: three writes in one chain of links, in one submit; on a full device the first
//! alone is tried.

use std::fs;
use std::path::Path;

use crate::exercise::prelude::*;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    for round in 0..2 {
        appends(attempt, round)?;
    }
    stops(attempt)?;
    Ok(Passed::new(
        "One submit, one chain: in order, and on a full device only the first was tried.",
    ))
}

fn run(
    attempt: &Attempt,
    path: &Path,
    pieces: &[String],
) -> Result<Record, Failure> {
    let words = pieces.join(" ");
    let mut launch = attempt.run(format!(
        "The program was run as `in_order {} {words}`.",
        path.display()
    ));
    launch = launch.arg(path);
    for piece in pieces {
        launch = launch.arg(piece);
    }
    launch.to_end()
}

fn pieces(attempt: &Attempt) -> Vec<String> {
    (0..3).map(|_| attempt.word(attempt.number(3..=12) as usize)).collect()
}

fn appends(attempt: &Attempt, round: u32) -> Result<(), Failure> {
    let path = attempt.folder()?.join(format!("pieces{round}"));
    let broken =
        |error| Failure::not_observed(format!("{}: {error}", path.display()));
    // In the second round there is something to append to.
    let before = if round == 0 { String::new() } else { attempt.word(6) };
    fs::write(&path, &before).map_err(broken)?;
    let pieces = pieces(attempt);
    let record = run(attempt, &path, &pieces)?;
    let after = fs::read(&path).map_err(broken)?;

    record.need_ring()?;
    record.need_exit()?;
    record.need_all_submitted()?;
    need_three(&record)?;
    need_chain(&record)?;
    let wanted = format!("{before}{}", pieces.concat());
    if after != wanted.as_bytes() {
        let found = String::from_utf8_lossy(&after);
        let kernel = record.lines(|what| matches!(what, What::Submit(_)));
        return Err(record.fail(ids::ORDER).kernel(kernel).rule(format!(
            "The file was to hold {wanted:?}; it holds {found:?}. The first piece comes first, \
             and each is appended where the one before it ends."
        )));
    }
    record.need_all_reaped()?;
    need_answers(&record, ["written", "written", "written"])
}

/// Three writes, and none beside the ring.
fn need_three(record: &Record) -> Result<(), Failure> {
    let writes = written::entries(record);
    let kernel = || record.lines_at_most(4, written::is_write);
    // What it prints is its own affair.
    let plain = written::calls(record, &[1, 2]);
    if let Some(call) = plain.first() {
        let line =
            format!("system call {}, fd {}", call.name, call.args[0] as i32);
        return Err(record.fail(ids::NOT_THROUGH_RING).kernel([line]).rule(
            "The pieces are to be written by entries of the ring, and not by a system call.",
        ));
    }
    match writes.len() {
        3 => Ok(()),
        0 => record.need_entries("WRITE", 3),
        few @ 1..3 => Err(record.fail(ids::NO_ENTRY).kernel(kernel()).rule(format!(
            "Three writes were asked for, one for each piece; the kernel took {few}."
        ))),
        many => Err(record.fail(ids::TOO_MANY_ENTRIES).kernel(kernel()).rule(format!(
            "Three writes were asked for, one for each piece; the kernel took {many}."
        ))),
    }
}

/// The three writes are one chain, handed over by one call.
fn need_chain(record: &Record) -> Result<(), Failure> {
    let writes = written::entries(record);
    let [first, .., last] = writes.as_slice() else { return Ok(()) };
    let has = |entry: &Submit, flag: &str| {
        entry.flags.iter().any(|name| name == flag)
    };
    let linked =
        |entry: &Submit| has(entry, "IO_LINK") || has(entry, "IO_HARDLINK");
    let kernel = || record.lines(|what| matches!(what, What::Submit(_)));
    let cut = calls_between(record, first.seq, last.seq);
    if cut > 0 && !has(first, "IO_LINK") {
        return Err(record.fail(ids::ENTERS).kernel(enters(record)).rule(
            "All three were to go in by one submit. Waiting for each before the next keeps the \
             order, at a system call a piece; links keep it in the kernel.",
        ));
    }
    if cut > 0 {
        return Err(record.fail(ids::LINK_CUT).kernel(enters(record)).rule(
            "A chain of links ends where the submit ends: the next entry that is submitted \
             does not belong to it, whatever flags the last one had. Push all three, then submit.",
        ));
    }
    let chain: Vec<&Submit> = record
        .submits()
        .filter(|entry| {
            entry.ring == first.ring
                && (first.seq..last.seq).contains(&entry.seq)
        })
        .collect();
    if first.ring != last.ring || chain.iter().any(|entry| !linked(entry)) {
        let drained = writes.iter().any(|entry| has(entry, "IO_DRAIN"));
        let why = if drained {
            "IO_DRAIN waits for what was submitted before, and goes on when that has failed. "
        } else {
            ""
        };
        return Err(record.fail(ids::NOT_LINKED).kernel(kernel()).rule(format!(
            "{why}An entry with `squeue::Flags::IO_LINK` makes the next one wait for it, and only \
             if it succeeds. Three entries in a chain need that on the first two."
        )));
    }
    if chain.iter().any(|entry| has(entry, "IO_HARDLINK")) {
        return Err(record.fail(ids::FLAGS).kernel(kernel()).rule(
            "IO_HARDLINK keeps the order and goes on after a failure. Here nothing is to be \
             written after a piece that was not: that is IO_LINK.",
        ));
    }
    Ok(())
}

/// How many calls of `io_uring_enter` begin between two entries; a polled ring has none.
fn calls_between(record: &Record, first: u64, last: u64) -> usize {
    let submitted = |wanted: u64| {
        record.events.iter().position(
            |event| matches!(&event.what, What::Submit(s) if s.seq == wanted),
        )
    };
    let (Some(from), Some(to)) = (submitted(first), submitted(last)) else {
        return 0;
    };
    record.events[from..to]
        .iter()
        .filter(|event| matches!(event.what, What::Enter(_)))
        .count()
}

fn enters(record: &Record) -> Vec<String> {
    record.lines_at_most(5, |what| {
        matches!(what, What::Enter(_) | What::Submit(_))
    })
}

/// On a full device the first write fails, and the chain ends there.
fn stops(attempt: &Attempt) -> Result<(), Failure> {
    let record = run(attempt, Path::new("/dev/full"), &pieces(attempt))?;
    record.need_all_submitted()?;
    need_three(&record)?;
    let kernel = || record.lines(|what| matches!(what, What::Complete(_)));
    let writes = written::entries(&record);
    let results: Vec<i32> = writes
        .iter()
        .filter_map(|entry| {
            record.answers(entry.seq).first().map(|answer| answer.res)
        })
        .collect();
    if results.iter().skip(1).any(|result| *result != -libc::ECANCELED) {
        need_chain(&record)?;
        return Err(record.fail(ids::NOT_LINKED).kernel(kernel()).rule(
            "When a write fails, the rest of its chain is to be cancelled. Here the kernel went \
             on: the entries were not linked.",
        ));
    }
    record.need_all_reaped()?;
    need_answers(&record, ["failed", "not tried", "not tried"])?;
    if record.status == Some(0) {
        let lines = kernel().into_iter().chain(["exit status 0".to_string()]);
        return Err(record.fail(ids::RESULT).kernel(lines).rule(
            "Nothing was written, and the program ends with 0. Whoever called it believes that \
             all is well.",
        ));
    }
    match record.status {
        Some(status) if status == 101 || status > 128 => record.need_exit(),
        _ => Ok(()),
    }
}

/// The program prints what became of each piece.
fn need_answers(record: &Record, wanted: [&str; 3]) -> Result<(), Failure> {
    let lines =
        record.stdout.lines().map(str::trim).filter(|line| !line.is_empty());
    let printed: Vec<&str> = lines.collect();
    if printed == wanted {
        return Ok(());
    }
    let mut kernel = record.lines(|what| matches!(what, What::Complete(_)));
    kernel.push(format!("printed: {}", printed.join(", ")));
    let silent = |entry: &&Submit| {
        entry.flags.iter().any(|flag| flag == "CQE_SKIP_SUCCESS")
    };
    if written::entries(record).iter().any(silent) {
        return Err(record.fail(ids::FLAGS).kernel(kernel).rule(
            "An entry with CQE_SKIP_SUCCESS that fails silences the rest of its chain: what is \
             cancelled then gets no completion, and no completion does not mean success.",
        ));
    }
    Err(record.fail(ids::OUTPUT).kernel(kernel).rule(format!(
        "The completions say: {}. A line for each piece was asked for: `written`, `failed`, or \
         `not tried` for one that the kernel cancelled (ECANCELED).",
        wanted.join(", ")
    )))
}
