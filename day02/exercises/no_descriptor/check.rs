//! `no_descriptor`: a file is opened, read and closed in a slot; the process's own table never
//! has it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use serde_json::Value;

use crate::exercise::prelude::*;

/// The operations that open a file.
const OPENS: &[&str] = &["OPENAT", "OPENAT2"];
/// The operations that read one.
const READS: &[&str] = &["READ", "READV", "READ_FIXED", "READV_FIXED"];

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let folder = attempt.folder()?.to_path_buf();
    for length in [attempt.number(5..=40), attempt.number(200..=3000)] {
        let path = folder.join(attempt.word(8));
        let content = format!("{}\n", attempt.word(length as usize));
        fs::write(&path, &content).map_err(|error| {
            Failure::not_observed(format!("{}: {error}", path.display()))
        })?;
        let opens = Opens::watch(&path);
        let record = launch(attempt, &path).to_end()?;
        in_a_slot(&record, &path, &content)?;
        opens.need_none_beside_the_ring(&record)?;
    }
    while_it_waits(attempt, &folder)?;
    Ok(Passed::new(
        "Opened, read and closed in a slot; /proc never listed the file.",
    ))
}

fn launch(attempt: &Attempt, path: &Path) -> Launch {
    attempt
        .run(format!(
            "The program was run as `no_descriptor {}`.",
            path.display()
        ))
        .arg(path)
}

fn one_of(ops: &[&str], submit: &Submit) -> bool {
    ops.contains(&submit.op.as_str())
}

/// The entries of some operations.
fn entries<'a>(
    record: &'a Record,
    ops: &'a [&str],
) -> impl Iterator<Item = &'a Submit> {
    record.submits().filter(|submit| one_of(ops, submit))
}

/// What the ring did, in three lines or so.
fn lines(record: &Record) -> Vec<String> {
    record.lines_at_most(4, |what| match what {
        What::Submit(_) => true,
        What::Complete(complete) => {
            complete.op.as_deref().is_some_and(|op| OPENS.contains(&op))
        }
        _ => false,
    })
}

fn in_a_slot(
    record: &Record,
    path: &Path,
    content: &str,
) -> Result<(), Failure> {
    record.need_ring()?;
    let slot = opened(record, path)?;
    let read = bytes_read(record, slot)?;
    record.need_exit()?;
    record.need_all_submitted()?;
    if record.stdout != content {
        let mut kernel = lines(record);
        kernel.push(format!(
            "printed: {} bytes; in the file: {}",
            record.stdout.len(),
            content.len()
        ));
        return Err(record
            .fail(ids::OUTPUT)
            .kernel(kernel)
            .rule("What is in the file was to be printed, byte for byte, and nothing else."));
    }
    if read < content.len() as i64 {
        let mut kernel = lines(record);
        kernel.push(format!(
            "read from slot {slot}: {read} bytes; printed: {}",
            content.len()
        ));
        return Err(record.fail(ids::NOT_THROUGH_RING).kernel(kernel).rule(
            "What was printed did not come through the slot: read it by an entry, \
             `opcode::Read` from `types::Fixed(slot)`.",
        ));
    }
    closed(record, slot)?;
    record.need_all_reaped()
}

/// The slot that the file was opened into.
fn opened(record: &Record, path: &Path) -> Result<u64, Failure> {
    let path = path.display().to_string();
    // A path that the tracer could not read may be the one.
    let ours = |open: &&Submit| match open.details.get("path") {
        Some(Value::String(opened)) => {
            *opened == path || path.ends_with(opened.as_str())
        }
        _ => true,
    };
    let Some(open) = entries(record, OPENS).filter(ours).last() else {
        record.need_all_submitted()?;
        record.need_exit()?;
        let mut kernel = lines(record);
        kernel.push("no OPENAT of this file went through the ring".to_string());
        let id = if record.stdout.is_empty() {
            ids::NO_ENTRY
        } else {
            ids::NOT_THROUGH_RING
        };
        return Err(record.fail(id).kernel(kernel).rule(
            "The file was to be opened by an entry, `opcode::OpenAt`. What open(2) gives is a \
             descriptor already, wherever it is put afterwards.",
        ));
    };
    let answer =
        record.answers(open.seq).first().map(|answer| i64::from(answer.res));
    let Some(into) = open.details.get("into_slot") else {
        return Err(record.fail(ids::DESCRIPTOR).kernel(lines(record)).rule(
            "The kernel answered with a descriptor of the process, for no slot was named. \
             `.file_index(Some(…))` on the entry says into which slot the file goes.",
        ));
    };
    match (into.as_u64(), answer) {
        (_, Some(error)) if error < 0 => {
            let table = record.registers().any(|register| register.op.contains("FILES"));
            let rule = if table {
                "The open was answered with an error, so there is no file in a slot."
            } else {
                "The open failed: there is no table of slots. `register_files_sparse` makes one, \
                 before the first entry."
            };
            Err(record.fail(ids::FAILED_ENTRY).kernel(lines(record)).rule(rule))
        }
        (Some(slot), _) => Ok(slot),
        (None, Some(slot)) => Ok(slot as u64),
        (None, None) => Err(record.fail(ids::NOT_REAPED).kernel(lines(record)).rule(
            "The open was not answered before the program ended: its completion names the slot.",
        )),
    }
}

/// Bytes that came from the slot; nothing may be read from a descriptor by an entry.
fn bytes_read(record: &Record, slot: u64) -> Result<i64, Failure> {
    if let Some(install) = record.submitted("FIXED_FD_INSTALL").first() {
        let seq = install.seq;
        let of_it = |what: &What| match what {
            What::Submit(submit) => submit.seq == seq,
            What::Complete(complete) => complete.seq == Some(seq),
            _ => false,
        };
        return Err(record.fail(ids::DESCRIPTOR).kernel(record.lines(of_it)).rule(
            "FIXED_FD_INSTALL makes a descriptor of what is in a slot. The file was to have none: \
             an operation takes the slot itself, `types::Fixed(slot)`.",
        ));
    }
    if let Some(read) =
        entries(record, READS).find(|read| read.details.contains_key("fd"))
    {
        let fd = read.details["fd"].clone();
        let stdin = if fd == 0 { ", the standard input" } else { "" };
        return Err(record.fail(ids::DESCRIPTOR).kernel(lines(record)).rule(format!(
            "The read is from descriptor {fd}{stdin}, and the file is in slot {slot}. \
             `types::Fd` is a descriptor, `types::Fixed` a slot."
        )));
    }
    if let Some(read) = entries(record, READS).find(|read| !is_slot(read, slot))
    {
        let other =
            read.details.get("slot").map_or("another".into(), Value::to_string);
        return Err(record.fail(ids::WRONG_ENTRY).kernel(lines(record)).rule(format!(
            "The file is in slot {slot}, and the read is from slot {other}. Where the kernel \
             chose the slot, its answer is the slot's number; where you did, it is 0."
        )));
    }
    let from_slot = entries(record, READS).filter(|read| is_slot(read, slot));
    let answers = from_slot.flat_map(|read| record.answers(read.seq));
    Ok(answers.map(|answer| i64::from(answer.res.max(0))).sum())
}

fn is_slot(submit: &Submit, slot: u64) -> bool {
    submit.details.get("slot").and_then(Value::as_u64) == Some(slot)
}

fn closed(record: &Record, slot: u64) -> Result<(), Failure> {
    let done = |close: &&Submit| {
        record.answers(close.seq).iter().any(|answer| answer.res == 0)
    };
    let closes = record.submitted("CLOSE");
    let right: Vec<_> =
        closes.iter().filter(|close| is_slot(close, slot)).collect();
    if right.iter().any(|close| done(close)) {
        return Ok(());
    }
    let kernel = || {
        let lines = record.last_lines(|what| {
            matches!(what, What::Submit(submit) if submit.op == "CLOSE")
                || matches!(what, What::Complete(answer) if answer.op.as_deref() == Some("CLOSE"))
        });
        if lines.is_empty() {
            vec!["no CLOSE went in".to_string()]
        } else {
            lines
        }
    };
    if let Some(close) =
        closes.iter().find(|close| close.details.contains_key("fd"))
    {
        let fd = close.details["fd"].clone();
        let stdin = if fd == 0 { ", the standard input" } else { "" };
        return Err(record.fail(ids::DESCRIPTOR).kernel(kernel()).rule(format!(
            "That closed descriptor {fd}{stdin}, and the file stayed in slot {slot}. \
             `types::Fixed({slot})` is the slot."
        )));
    }
    Err(record.fail(ids::NOT_CLOSED).kernel(kernel()).rule(format!(
        "Slot {slot} was left taken. A slot is closed by an entry, `opcode::Close` of \
         `types::Fixed({slot})`; a table of four would be full after four files."
    )))
}

/// Every opening of a file, by whatever way (inotify(7)).
struct Opens(Option<Inotify>);

impl Opens {
    /// From now on. Where inotify is not to be had, nothing is seen.
    fn watch(path: &Path) -> Opens {
        // Reads and closes as well: of two openings with nothing in between only one is told.
        let all = AddWatchFlags::IN_OPEN
            | AddWatchFlags::IN_ACCESS
            | AddWatchFlags::IN_CLOSE_NOWRITE;
        let inotify =
            Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC);
        Opens(
            inotify
                .and_then(|seen| seen.add_watch(path, all).map(|_| seen))
                .ok(),
        )
    }

    /// Only the ring opened it.
    fn need_none_beside_the_ring(
        &self,
        record: &Record,
    ) -> Result<(), Failure> {
        let events = self
            .0
            .as_ref()
            .and_then(|seen| seen.read_events().ok())
            .unwrap_or_default();
        let opened = events
            .iter()
            .filter(|event| event.mask.contains(AddWatchFlags::IN_OPEN))
            .count();
        let by_ring = entries(record, OPENS).count();
        if opened <= by_ring {
            return Ok(());
        }
        let mut kernel = lines(record);
        kernel.push(format!(
            "the file was opened: {opened} times; by the ring: {by_ring}"
        ));
        Err(record.fail(ids::NOT_THROUGH_RING).kernel(kernel).rule(
            "Beside the ring a system call opened the file: for as long as it was open it was a \
             descriptor of the process.",
        ))
    }
}

/// A program that never comes to its entry most likely reads by itself.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::HANG_CALL {
        return failure;
    }
    let rule = format!("{} Only an entry was to read this file.", failure.rule);
    failure.rule(rule)
}

/// A FIFO keeps the program waiting in its read: time to look at its descriptors.
fn while_it_waits(attempt: &Attempt, folder: &Path) -> Result<(), Failure> {
    let path = folder.join(attempt.word(8));
    let broken = |what: String| {
        Failure::not_observed(format!("{}: {what}", path.display()))
    };
    mkfifo(&path, Mode::from_bits_truncate(0o600))
        .map_err(|error| broken(error.to_string()))?;
    // Open at both ends, so that nobody waits for anybody to open it.
    let mut fifo = OpenOptions::new()
        .read(true)
        .write(true)
        .open(&path)
        .map_err(|error| broken(error.to_string()))?;
    let mut run = launch(attempt, &path).start()?;
    run.did(format!(
        "The program was run as `no_descriptor {}`, a FIFO that holds nothing yet.",
        path.display()
    ));
    let waiting = run.until(|run| {
        let record = run.record();
        Ok(entries(&record, READS).next().is_some().then_some(()))
    });
    waiting.map_err(explain)?;
    let name = path.display().to_string();
    let descriptors = run.descriptors()?;
    if let Some((fd, _)) =
        descriptors.iter().find(|(_, target)| **target == name)
    {
        let record = run.record();
        let mut kernel = lines(&record);
        kernel.push(format!("/proc/{}/fd/{fd} -> {name}", run.pid()));
        return Err(record.fail(ids::DESCRIPTOR).kernel(kernel).rule(
            "While the program reads, the file is a descriptor of the process.",
        ));
    }
    let content = format!("{}\n", attempt.word(30));
    run.did(format!(
        "The program waited for a FIFO, {name}, and got a line from it."
    ));
    fifo.write_all(content.as_bytes())
        .map_err(|error| broken(error.to_string()))?;
    drop(fifo);
    in_a_slot(&run.end()?, &path, &content)
}
