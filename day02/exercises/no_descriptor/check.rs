//! `no_descriptor`: the program opens, reads and closes a file in a slot. The file is never in the
//! process's own table of descriptors.

use std::fs;
use std::io::Write;
use std::path::Path;

use common::text::several;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::exercise::prelude::*;

/// Bytes of a file that the program reads at most.
const MOST: usize = 4096;

pub fn check(attempt: &Attempt) -> Result<Passed, Failure> {
    let folder = attempt.folder()?.to_path_buf();
    let short = format!("{} — {}\n", attempt.word(5), attempt.word(30));
    for content in
        [short, attempt.word(MOST), attempt.word(MOST + 1), String::new()]
    {
        let path = folder.join(attempt.word(8));
        let broken = |error| {
            Failure::not_observed(format!("{}: {error}", path.display()))
        };
        fs::write(&path, &content).map_err(broken)?;
        let opens = Opens::watch(&path);
        let record =
            launch(attempt, &path, content.len()).to_end().map_err(explain)?;
        in_a_slot(&record, &path, &content)?;
        opens.need_none_beside_the_ring(&record, &path)?;
    }
    while_it_waits(attempt, &folder.join(attempt.word(8)))?;
    Ok(Passed::new(
        "Opened, read and closed in a slot; /proc never listed the file.",
    ))
}

fn launch(attempt: &Attempt, path: &Path, length: usize) -> Launch {
    let did = format!(
        "The program was run as `no_descriptor {}`, a file of {length} bytes.",
        path.display()
    );
    attempt.run(did).arg(path)
}

/// Explains a program that hangs before its entry: most likely it reads by a system call.
fn explain(failure: Failure) -> Failure {
    if failure.id != ids::HANG_CALL {
        return failure;
    }
    let rule = format!("{} Only an entry must read this file.", failure.rule);
    failure.rule(rule)
}

/// The opens, reads and closes of the ring, and the results of the opens.
fn lines(record: &Record) -> Vec<String> {
    record.lines_at_most(5, |what| match what {
        What::Submit(_) => true,
        What::Complete(complete) => {
            complete.res < 0 || complete.op.as_deref().is_some_and(opens)
        }
        _ => false,
    })
}

fn opens(op: &str) -> bool {
    op.starts_with("OPENAT")
}

fn in_a_slot(
    record: &Record,
    path: &Path,
    content: &str,
) -> Result<(), Failure> {
    record.need_ring()?;
    let slot = opened(record, path)?;
    let content = &content[..content.len().min(MOST)];
    let read = record.bytes_out_of(Target::Slot(slot));
    let emptied = record.slots_emptied().contains(&slot);
    if !record.submitted("FIXED_FD_INSTALL").is_empty() {
        return Err(record.fail(ids::DESCRIPTOR).kernel(lines(record)).rule(
            "FIXED_FD_INSTALL makes a descriptor for the file in a slot. This file must have no \
             descriptor: name the slot itself in an operation, `types::Fixed(slot)`.",
        ));
    }
    if read < content.len() as u64 {
        need_slot(record, "READ", slot)?;
    }
    if !emptied {
        need_slot(record, "CLOSE", slot)?;
    }
    record.need_exit()?;
    record.need_all_submitted()?;
    let fail = |id, told| {
        record.fail(id).kernel(lines(record).into_iter().chain([told]))
    };
    if record.stdout != content {
        let told =
            format!("{}; asked for: {} bytes", record.printed(), content.len());
        return Err(fail(ids::OUTPUT, told).rule(
            "Print the file's first 4096 bytes, or all of a shorter file, unchanged, and nothing \
             else.",
        ));
    }
    if read < content.len() as u64 {
        let told = format!(
            "read from slot {slot}: {read} bytes; printed: {}",
            content.len()
        );
        return Err(fail(ids::NOT_THROUGH_RING, told).rule(
            "The program did not read all that it printed through the slot. Read by an entry, \
             `opcode::Read` from `types::Fixed(slot)`.",
        ));
    }
    if !emptied {
        let files = |op: &str| {
            op.contains("UNREGISTER_FILES") || op.contains("FILES_UPDATE")
        };
        let by_call =
            |what: &What| matches!(what, What::Register(it) if files(&it.op));
        let mut kernel = record.lines(by_call);
        kernel.push(format!("no entry emptied slot {slot}"));
        return Err(record.fail(ids::NOT_CLOSED).kernel(kernel).rule(format!(
            "Close slot {slot} by an entry, `opcode::Close` of `types::Fixed({slot})`: the table \
             stays for the next file. If slots stay taken, a table of four is full after four \
             files.",
        )));
    }
    record.need_all_reaped()
}

/// The slot into which the ring opened the file. Fails if the file was opened elsewhere, too.
fn opened(record: &Record, path: &Path) -> Result<u32, Failure> {
    let path = path.display().to_string();
    // If the tracer could not read a path, it may be this file's.
    let ours = |open: &&Submit| match open
        .details
        .get("path")
        .and_then(|path| path.as_str())
    {
        Some(opened) => path.ends_with(opened),
        None => opens(&open.op),
    };
    let all: Vec<&Submit> = record
        .submits()
        .filter(|submit| opens(&submit.op))
        .filter(ours)
        .collect();
    let fail =
        |id, rule: &str| Err(record.fail(id).kernel(lines(record)).rule(rule));
    let Some(open) = all.last() else {
        record.need_all_submitted()?;
        record.need_exit()?;
        let id = if record.stdout.is_empty() {
            ids::NO_ENTRY
        } else {
            ids::NOT_THROUGH_RING
        };
        return fail(
            id,
            "No OPENAT of this file went through the ring. Open it by an entry, `opcode::OpenAt`: \
             open(2) always makes a descriptor, even if you put the file into a slot afterwards.",
        );
    };
    if all.iter().any(|open| !open.details.contains_key("into_slot")) {
        return fail(
            ids::DESCRIPTOR,
            "The entry named no slot, so the kernel made a descriptor of the process. Name the \
             slot with `.file_index(Some(…))` on the entry.",
        );
    }
    let chosen = open.details["into_slot"].as_u64().map(|slot| slot as u32);
    match record.answers(open.seq).first().map(|answer| answer.res) {
        Some(res @ 0..) => Ok(chosen.unwrap_or(res as u32)),
        None => fail(
            ids::NOT_REAPED,
            "The program ended before the open completed. Wait for its completion: it says whether \
             the file is open.",
        ),
        Some(_)
            if record
                .registers()
                .any(|register| register.op.contains("FILES")) =>
        {
            fail(
                ids::FAILED_ENTRY,
                &match chosen {
                    _ if open.words.contains("O_CLOEXEC") => {
                        "The open failed: O_CLOEXEC is for descriptors, and a slot cannot have it. \
                         Leave the flag out."
                            .to_string()
                    }
                    Some(slot) => format!(
                        "The open into slot {slot} failed, so there is no file in it. Does the \
                     table have that slot? The first slot is 0."
                    ),
                    None => "The open failed, so there is no file in a slot."
                        .to_string(),
                },
            )
        }
        Some(_) => fail(
            ids::FAILED_ENTRY,
            "The open failed: the ring has no table of slots. Make one with \
             `register_files_sparse` before the first entry.",
        ),
    }
}

/// Fails if an entry of this operation names a descriptor, or another slot.
fn need_slot(record: &Record, op: &str, slot: u32) -> Result<(), Failure> {
    let fail = |id, rule: String| {
        Err(record.fail(id).kernel(lines(record)).rule(rule))
    };
    for entry in record.submits().filter(|entry| entry.op.starts_with(op)) {
        let number =
            |key| entry.details.get(key).and_then(|number| number.as_u64());
        match (number("fd"), number("slot")) {
            (Some(fd), _) => {
                let stdin = if fd == 0 { ", the standard input" } else { "" };
                return fail(
                    ids::DESCRIPTOR,
                    format!(
                        "The {op} names descriptor {fd}{stdin}, but the file is in slot {slot}. \
                     `types::Fd` names a descriptor, `types::Fixed` a slot."
                    ),
                );
            }
            (_, Some(other)) if other != u64::from(slot) => {
                return fail(
                    ids::WRONG_ENTRY,
                    format!(
                        "The file is in slot {slot}, but the {op} names slot {other}. If the \
                     kernel chose the slot, the result of the open is the slot's number; if you \
                     chose it, the result is 0."
                    ),
                );
            }
            _ => {}
        }
    }
    Ok(())
}

/// Every opening of a file, by a system call or by the ring (inotify(7)).
struct Opens(Option<Inotify>);

impl Opens {
    /// Watches from now on. Without inotify it sees nothing.
    fn watch(path: &Path) -> Opens {
        // Reads and closes as well: the kernel merges two openings with no other event in between.
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

    /// Fails if anything but the ring opened the file.
    fn need_none_beside_the_ring(
        &self,
        record: &Record,
        path: &Path,
    ) -> Result<(), Failure> {
        let events = self
            .0
            .as_ref()
            .and_then(|seen| seen.read_events().ok())
            .unwrap_or_default();
        let opened = events
            .iter()
            .filter(|it| it.mask.contains(AddWatchFlags::IN_OPEN))
            .count();
        let by_ring =
            record.submits().filter(|submit| opens(&submit.op)).count();
        if opened <= by_ring {
            return Ok(());
        }
        let told = format!(
            "opened {}, {by_ring} of them by the ring: {}",
            several(opened, "time"),
            path.display()
        );
        Err(record.fail(ids::NOT_THROUGH_RING).kernel(lines(record).into_iter().chain([told])).rule(
            "A system call opened the file as well, and made a descriptor of the process for it. \
             Only the ring may open the file.",
        ))
    }
}

/// A FIFO keeps the program waiting in its read, so that the check can look at its descriptors.
fn while_it_waits(attempt: &Attempt, path: &Path) -> Result<(), Failure> {
    let mut fifo = fifo(path)?;
    let mut run = launch(attempt, path, 0).start()?;
    let name = path.display().to_string();
    run.did(format!("The program was run as `no_descriptor {name}`, a FIFO that holds nothing yet."));
    run.until(|run| {
        Ok(run.record().submits().any(|entry| !opens(&entry.op)).then_some(()))
    })
    .map_err(explain)?;
    if let Some((fd, _)) =
        run.descriptors()?.iter().find(|(_, target)| **target == name)
    {
        let record = run.record();
        let told = format!("/proc/{}/fd/{fd} -> {name}", run.pid());
        return Err(record.fail(ids::DESCRIPTOR).kernel(lines(&record).into_iter().chain([told])).rule(
            "While the program reads, the process has a descriptor for the file.",
        ));
    }
    run.idles();
    let content = format!("{}\n", attempt.word(30));
    run.did(format!(
        "The program waited for a FIFO, {name}, and got a line from it."
    ));
    let written = fifo.write_all(content.as_bytes());
    written
        .map_err(|error| Failure::not_observed(format!("{name}: {error}")))?;
    drop(fifo);
    in_a_slot(&run.end()?, path, &content)
}
