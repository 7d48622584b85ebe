//! `in_order`: three writes in one chain of links, in one submit. After a write that fails, the
//! kernel tries no other.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use nix::fcntl::{FcntlArg, fcntl};

use crate::exercise::prelude::*;

/// The bytes in the file before the run. No other file that a program writes is as large, so the
/// limit on a file's size affects this one alone.
const BEFORE: u64 = 1 << 20;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    for fails in [None, Some(0), Some(1), Some(2)] {
        appends(attempt, fails)?;
    }
    waits(attempt)?;
    Ok(Passed::new(
        "One submit, one chain: in order, and nothing was tried after a failure.",
    ))
}

fn pieces(attempt: &Attempt) -> Vec<String> {
    (0..3).map(|_| attempt.word(attempt.number(3..=12) as usize)).collect()
}

fn launch(
    attempt: &Attempt,
    path: &Path,
    pieces: &[String],
    more: &str,
) -> Launch {
    let shown =
        pieces.iter().map(|piece| piece.chars().take(12).collect::<String>());
    let words = shown.collect::<Vec<_>>().join(" ");
    let did = format!(
        "The program was run as `in_order {} {words}`{more}.",
        path.display()
    );
    pieces
        .iter()
        .fold(attempt.run(did).arg(path), |launch, piece| launch.arg(piece))
}

/// Appends to a file in which there is room for all pieces, or no room for one of them.
fn appends(attempt: &Attempt, fails: Option<usize>) -> Result<(), Failure> {
    let path = attempt.folder()?.join(attempt.word(8));
    let broken =
        |error| Failure::not_observed(format!("{}: {error}", path.display()));
    fs::File::create(&path)
        .and_then(|file| file.set_len(BEFORE))
        .map_err(broken)?;
    let pieces = pieces(attempt);
    let record = match fails {
        None => launch(attempt, &path, &pieces, "").to_end()?,
        Some(fails) => {
            // One byte of the second piece fits, so that its write is short.
            let room =
                pieces[..fails].concat().len() as u64 + u64::from(fails == 1);
            let more = format!(", and the file has room for {room} bytes");
            let launch = launch(attempt, &path, &pieces, &more);
            launch.file_limit(BEFORE + room).start()?.end()?
        }
    };
    let mut wanted = vec![0; BEFORE as usize];
    let after = fs::read(&path).map_err(broken)?;
    let file = if after.starts_with(&wanted) {
        wanted.extend(pieces.concat().bytes());
        let in_order = if fails.is_none() {
            after == wanted
        } else {
            wanted.starts_with(&after)
        };
        if in_order { Found::InOrder } else { Found::OutOfOrder }
    } else {
        Found::Overwritten
    };
    judge(&record, &path, file)
}

/// Appends to a FIFO that has room for the first piece only. The other writes complete when the
/// check has read from it.
fn waits(attempt: &Attempt) -> Result<(), Failure> {
    let path = attempt.folder()?.join(attempt.word(8));
    let broken = |error: io::Error| {
        Failure::not_observed(format!("{}: {error}", path.display()))
    };
    let mut fifo = fifo(&path)?;
    let page = fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(1))
        .map_err(|error| broken(error.into()))?;
    let room = fcntl(&fifo, FcntlArg::F_SETPIPE_SZ(2 * page))
        .map_err(|error| broken(error.into()))?;
    let mut bytes = vec![b'.'; page as usize];
    fifo.write_all(&bytes).map_err(broken)?;
    let mut pieces = pieces(attempt);
    pieces[0] = attempt.word((room - page) as usize);
    let more = ", with a FIFO that is full for a while after the first piece";
    let mut run = launch(attempt, &path, &pieces, more).start()?;
    run.until(|run| Ok(run.record().completes().next().map(drop)))?;
    // Gives a program that does not wait for the others time to go on.
    run.idles();
    bytes.resize(room as usize, 0);
    let _taken = fifo.read(&mut bytes).map_err(broken)?;
    judge(&run.end()?, &path, Found::InOrder)
}

/// What a run left in the file.
enum Found {
    InOrder,
    OutOfOrder,
    /// Bytes from before the run are gone.
    Overwritten,
}

/// The file got three writes in one chain, and the program prints the outcome of each.
fn judge(record: &Record, path: &Path, file: Found) -> Result<(), Failure> {
    record.need_ring()?;
    record.need_all_submitted()?;
    let writes = need_three(record, path)?;
    need_chain(record, &writes)?;
    let fail = |id, rule: String| {
        let mut kernel = record.lines_at_most(6, written::is_write);
        kernel.push(record.printed());
        Err(record.fail(id).kernel(kernel).rule(rule))
    };
    let answers: Vec<i32> = writes
        .iter()
        .filter_map(|entry| Some(record.answers(entry.seq).first()?.res))
        .collect();
    if answers.len() < 3 {
        let silent = writes.iter().any(|entry| has(entry, "CQE_SKIP_SUCCESS"));
        return match silent {
            true => fail(ids::FLAGS,
                "If an entry with CQE_SKIP_SUCCESS fails, the cancelled entries behind it post no \
                 completion either. So a missing completion does not mean success.".into()),
            false => fail(ids::NOT_REAPED,
                "The program ended before all three had completed. A write can take long: wait for \
                 three completions, whatever their results.".into()),
        };
    }
    let told: Vec<&str> = writes
        .iter()
        .zip(&answers)
        .map(|(entry, answer)| match *answer {
            answer if entry.details.get("bytes") == Some(&answer.into()) => {
                "written"
            }
            answer if answer == -libc::ECANCELED => "not tried",
            _ => "failed",
        })
        .collect();
    let failed = told.iter().position(|it| *it != "written");
    if failed
        .is_some_and(|at| told[at + 1..].iter().any(|it| *it != "not tried"))
    {
        return fail(ids::LINK_CUT,
            "A write failed, and the kernel still ran the next one, because the chain had ended \
             before that one was submitted. Push all three, then publish and submit them \
             together.".into());
    }
    match file {
        Found::InOrder => {}
        Found::OutOfOrder => return fail(ids::ORDER,
            "The file must hold the pieces in their order, each directly behind the one before \
             it.".into()),
        Found::Overwritten => return fail(ids::ORDER, format!(
            "The file held {BEFORE} bytes before the run, and not all of them are there any more. \
             Append the pieces: open the file with `append(true)`, and do not truncate it."
        )),
    }
    record.need_all_reaped()?;
    let printed: Vec<&str> = record
        .stdout
        .lines()
        .map(str::trim)
        .filter(|it| !it.is_empty())
        .collect();
    if printed != told {
        if record.status >= Some(101) {
            record.need_exit()?;
        }
        return fail(
            ids::OUTPUT,
            format!(
                "The completions say: {}. Print one line for each piece: `written` if all of it \
             was written, `not tried` if the kernel cancelled the write (ECANCELED), `failed` \
             otherwise.",
                told.join(", ")
            ),
        );
    }
    match record.status {
        Some(0) if failed.is_some() => fail(ids::RESULT,
            "A write failed, and the program ended with status 0, which means success to its \
             caller. End with another status.".into()),
        Some(1..=128) if failed.is_some() => Ok(()),
        _ => record.need_exit(),
    }
}

fn has(entry: &Submit, flag: &str) -> bool {
    entry.flags.iter().any(|name| name == flag)
}

/// Three writes to the file, all through the ring.
fn need_three<'a>(
    record: &'a Record,
    path: &Path,
) -> Result<Vec<&'a Submit>, Failure> {
    let path = path.canonicalize().unwrap_or_default().display().to_string();
    if let Some(call) = record.plain_writes_into(&path).first() {
        let line =
            format!("system call {}, fd {}", call.name, call.args[0] as i32);
        return Err(record.fail(ids::NOT_THROUGH_RING).kernel([line]).rule(
            "A plain system call wrote to the file. Let entries of the ring write all three pieces.",
        ));
    }
    // The program may write other files by system calls.
    let ours =
        |entry: &&Submit| entry.file.as_ref().is_none_or(|file| *file == path);
    let writes: Vec<&Submit> =
        written::entries(record).into_iter().filter(ours).collect();
    let id = match writes.len() {
        3 => return Ok(writes),
        0..3 => ids::NO_ENTRY,
        _ => ids::TOO_MANY_ENTRIES,
    };
    if writes.is_empty() {
        record.need_exit()?;
    }
    let kernel = record.lines_at_most(4, written::is_write);
    Err(record.fail(id).kernel(kernel).rule(format!(
        "Entries that write to the file: {}. Submit three, one for each piece.",
        writes.len()
    )))
}

/// The writes are one chain, submitted by one call.
fn need_chain(record: &Record, writes: &[&Submit]) -> Result<(), Failure> {
    let (first, last) = (writes[0], writes[2]);
    let at = |seq: u64| {
        let its = |what: &What| matches!(what, What::Submit(entry) if entry.seq == seq);
        record.events.iter().position(|event| its(&event.what)).unwrap_or(0)
    };
    let between = &record.events[at(first.seq)..at(last.seq)];
    let chain = between.iter().filter_map(|event| match &event.what {
        What::Submit(entry) if entry.ring == first.ring => Some(entry),
        _ => None,
    });
    let cut = between.iter().any(|event| matches!(event.what, What::Enter(_)));
    let linked =
        |entry: &Submit| has(entry, "IO_LINK") || has(entry, "IO_HARDLINK");
    let (id, rule) = if cut && !has(first, "IO_LINK") {
        (
            ids::ENTERS,
            "The program submitted the writes by several calls. Submit all three by one call. \
         Waiting for each write keeps the order too, but costs one system call for each piece; \
         with links the kernel keeps the order.",
        )
    } else if cut {
        (
            ids::LINK_CUT,
            "A chain of links ends where the submit ends. An entry of the next submit does not \
         belong to it, even if the last entry carries a link flag. Push all three, then submit.",
        )
    } else if first.ring != last.ring || !chain.clone().all(linked) {
        (
            ids::NOT_LINKED,
            "With `squeue::Flags::IO_LINK` on an entry, the next entry starts only when this one \
         has succeeded. In a chain of three, the first two entries need the flag. (An entry with \
         IO_DRAIN waits for all earlier entries, and then runs even if they have failed.)",
        )
    } else if chain.clone().any(|entry| has(entry, "IO_HARDLINK")) {
        (
            ids::FLAGS,
            "IO_HARDLINK keeps the order, but the chain goes on after a failure. Here a piece must \
         not be written if the one before it failed: use IO_LINK.",
        )
    } else {
        return Ok(());
    };
    let of_it = |what: &What| {
        matches!(what, What::Submit(_)) || cut && matches!(what, What::Enter(_))
    };
    Err(record.fail(id).kernel(record.lines_at_most(5, of_it)).rule(rule))
}
