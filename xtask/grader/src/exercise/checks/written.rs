//! Whether the ring or a plain system call wrote the output.

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

/// Added if a plain call wrote to the standard output.
const TOO: &str = " A write system call (`print!` makes one) wrote there, too.";

/// Added if an entry wrote as many bytes as the line has.
const ELSEWHERE: &str = " The number of bytes is right. Keep the line at the entry's address until \
                         the completion: the kernel reads it there.";

/// The entries that write.
pub fn entries(record: &Record) -> Vec<&Submit> {
    record.submits().filter(|submit| WRITES.contains(&submit.op.as_str())).collect()
}

/// Whether an event is an entry that writes, or its completion.
pub fn is_write(what: &What) -> bool {
    match what {
        What::Submit(submit) => WRITES.contains(&submit.op.as_str()),
        What::Complete(complete) => complete.op.as_deref().is_some_and(|op| WRITES.contains(&op)),
        _ => false,
    }
}

/// The plain system calls that write, except to descriptors in `free`.
pub fn calls<'a>(record: &'a Record, free: &[u64]) -> Vec<&'a OtherCall> {
    let calls = record.calls.iter();
    calls
        .filter(|call| CALLS.contains(&call.name.as_str()) && !free.contains(&call.args[0]))
        .collect()
}

/// Fails unless the standard output has `line` and nothing else, and entries of the ring wrote it.
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
                " The line has {} bytes, but entries wrote {put}. The length of an entry is in \
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
                    "The standard output must hold {} once, and nothing else.{too}",
                    quoted(line)
                )),
        });
    }
    // The output has no other bytes. If entries wrote as many bytes, they wrote all of them.
    let put = record.bytes_into(Target::File(&record.stdout_is));
    if put >= line.len() as u64 {
        return Ok(());
    }
    // A polling thread may have taken an entry before the tracer read the queue.
    let missed = record.summary.unseen_entries + record.summary.unseen_completions;
    if plain.is_empty() && missed > 0 {
        return Ok(());
    }
    let call = plain.first().map(|call| {
        let (name, fd, bytes) = (&call.name, call.args[0] as i32, call.args[2]);
        format!("system call {name}, fd {fd}, {}", several(bytes as usize, "byte"))
    });
    let rule = match put {
        0 => "The line is right, but a plain system call wrote it (`print!` makes one). Write it \
              by an entry of the ring."
            .to_string(),
        put => format!(
            "Entries of the ring wrote {put} of the {} bytes. A plain system call wrote the others \
             (`print!` makes one). Write the whole line by entries.",
            line.len()
        ),
    };
    Err(record.fail(ids::NOT_THROUGH_RING).kernel(lines().into_iter().chain(call)).rule(rule))
}

/// Explains a wrong output, if there is a cause other than wrong words.
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
                "The write failed with {error}. Look at the fields of the entry: the descriptor (1 \
                 is the standard output), the address, the length."
            ),
        )));
    }
    if answers.is_empty() {
        let mut kernel = record.last_lines(|what| matches!(what, What::Submit(_)));
        if kernel.is_empty() {
            kernel.push("the program submitted no entry".to_string());
        }
        return Ok(Some(record.fail(ids::NO_ENTRY).kernel(kernel).rule(format!(
            "Nothing was written. Write {} to the standard output by an entry, such as \
             `opcode::Write` for descriptor 1.",
            quoted(line)
        ))));
    }
    Ok(all_by_ring.then(|| {
        record.fail(ids::WRONG_ENTRY).kernel(record.lines(is_write)).rule(
            "The program submitted a write, but nothing arrived on the standard output. Use \
             descriptor 1, `types::Fd(1)`, and the length of the whole line.",
        )
    }))
}
