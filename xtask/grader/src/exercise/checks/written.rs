//! Who wrote what was written: the ring, or a plain system call.

use common::text::several;
use serde_json::Value;

use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::{Record, Target, quoted};
use ringtrace::event::{Submit, What};
use ringtrace::watch::OtherCall;

/// The operations that write bytes from memory to a file.
pub const WRITES: &[&str] = &["WRITE", "WRITEV", "WRITE_FIXED", "WRITEV_FIXED"];

/// System calls that put bytes into a file.
const CALLS: &[&str] = &[
    "write",
    "writev",
    "pwrite64",
    "pwritev",
    "pwritev2",
    "sendfile",
    "splice",
    "vmsplice",
    "tee",
    "copy_file_range",
    "sendto",
    "sendmsg",
];

/// Added where a plain call wrote to the standard output.
const TOO: &str = " A write system call (`print!` makes one) put something there, too.";

/// Added where an entry wrote as many bytes as the line has.
const ELSEWHERE: &str = " As many bytes were written: did the line still lie at the entry's \
                         address when the kernel read it? It has to, until the completion.";

/// The entries that write.
pub fn entries(record: &Record) -> Vec<&Submit> {
    record.submits().filter(|submit| WRITES.contains(&submit.op.as_str())).collect()
}

/// Whether an event is such an entry, or its completion.
pub fn is_write(what: &What) -> bool {
    match what {
        What::Submit(submit) => WRITES.contains(&submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref().is_some_and(|op| WRITES.contains(&op)),
        _ => false,
    }
}

/// The plain system calls that write, but for those to the descriptors that are `free`.
pub fn calls<'a>(record: &'a Record, free: &[u64]) -> Vec<&'a OtherCall> {
    let calls = record.calls.iter();
    calls
        .filter(|call| CALLS.contains(&call.name.as_str()) && !free.contains(&call.args[0]))
        .collect()
}

/// The standard output holds `line` and nothing else, and entries of the ring put it there.
///
/// # Errors
/// `E-NOT-SUBMITTED`, `E-NO-ENTRY`, `E-WRONG-ENTRY`, `E-FAILED-ENTRY`, `E-OUTPUT`,
/// `E-NOT-THROUGH-RING`.
pub fn need_line_through_ring(record: &Record, line: &str) -> Result<(), Failure> {
    let lines = || record.last_lines(is_write);
    let plain = record.plain_writes_into(&record.stdout_is);
    if record.stdout != line {
        let length = |entry: &Submit| entry.details.get("bytes").and_then(Value::as_u64);
        let right_length =
            entries(record).iter().any(|entry| length(entry) == Some(line.len() as u64));
        let put = record.bytes_into(Target::File(&record.stdout_is));
        let begins = line.starts_with(record.stdout.trim_end_matches(char::REPLACEMENT_CHARACTER));
        let too = match (plain.is_empty(), right_length) {
            (false, _) => TOO.to_string(),
            (true, true) => ELSEWHERE.to_string(),
            (true, false) if begins && put < line.len() as u64 => format!(
                " The line has {} bytes, and entries wrote {put}. The length of an entry is in \
                 bytes, and a letter can have several.",
                line.len()
            ),
            (true, false) => String::new(),
        };
        return Err(match wrong_output(record, line, plain.is_empty())? {
            Some(failure) => failure,
            None => record
                .fail(ids::OUTPUT)
                .kernel(lines().into_iter().chain([record.printed()]))
                .rule(format!(
                    "The standard output must hold {}, once and nothing else.{too}",
                    quoted(line)
                )),
        });
    }
    // No other bytes are there: if entries have put in as many, they have put in all of them.
    let put = record.bytes_into(Target::File(&record.stdout_is));
    if put >= line.len() as u64 {
        return Ok(());
    }
    // A polling thread may have been faster than the tracer's look at its queue.
    let missed = record.summary.unseen_entries + record.summary.unseen_completions;
    if plain.is_empty() && missed > 0 {
        return Ok(());
    }
    let call = plain.first().map(|call| {
        let (name, fd, bytes) = (&call.name, call.args[0] as i32, call.args[2]);
        format!("system call {name}, fd {fd}, {}", several(bytes as usize, "byte"))
    });
    let rule = match put {
        0 => "The line is there, but no entry of the ring wrote it: a plain system call did \
              (`print!` makes one). Let an entry write it."
            .to_string(),
        put => format!(
            "Entries of the ring wrote {put} of the {} bytes. The others came from a plain system \
             call (`print!` makes one): let entries write the whole line.",
            line.len()
        ),
    };
    Err(record.fail(ids::NOT_THROUGH_RING).kernel(lines().into_iter().chain(call)).rule(rule))
}

/// What is behind another output than asked, if it is more than other words.
fn wrong_output(
    record: &Record,
    line: &str,
    all_by_ring: bool,
) -> Result<Option<Failure>, Failure> {
    if !record.stdout.is_empty() {
        return Ok(None);
    }
    record.need_all_submitted()?;
    let answers: Vec<_> = record
        .completes()
        .filter(|complete| complete.op.as_deref().is_some_and(|op| WRITES.contains(&op)))
        .collect();
    if let Some(failed) = answers.iter().find(|complete| complete.res < 0) {
        let error = failed.error.as_deref().unwrap_or("an error");
        return Ok(Some(record.fail(ids::FAILED_ENTRY).kernel(record.lines(is_write)).rule(
            format!(
                "The write was answered with {error}. What it asked for is in the entry: the \
                 descriptor (1 is the standard output), the address, the length."
            ),
        )));
    }
    if answers.is_empty() {
        let mut kernel = record.last_lines(|what| matches!(what, What::Submit(_)));
        if kernel.is_empty() {
            kernel.push("no entry ever went in".to_string());
        }
        return Ok(Some(record.fail(ids::NO_ENTRY).kernel(kernel).rule(format!(
            "{} must be on the standard output, by an entry such as `opcode::Write` for \
             descriptor 1. Nothing was written.",
            quoted(line)
        ))));
    }
    Ok(all_by_ring.then(|| {
        record.fail(ids::WRONG_ENTRY).kernel(record.lines(is_write)).rule(
            "The write went in, but nothing arrived on the standard output. That is descriptor \
             1, `types::Fd(1)`, and the length is that of the whole line.",
        )
    }))
}
