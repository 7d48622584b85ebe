//! The bytes that entries moved, according to their completions.

use std::collections::HashMap;

use serde_json::Value;

use super::Record;
use ringtrace::codes::op;
use ringtrace::decode::Entry;
use ringtrace::event::{Complete, Submit};

/// A file as an entry names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Target<'a> {
    /// A descriptor.
    Fd(i32),
    /// A slot of the ring's table.
    Slot(u32),
    /// A path, or [`Record::stdout_is`], by any descriptor or slot.
    File(&'a str),
}

/// Bytes that an entry moved.
#[derive(Clone, Copy, Debug)]
pub struct Moved<'a> {
    /// The entry.
    pub submit: &'a Submit,
    /// Its completion. `None` for an entry that posts a completion only on failure, and has not
    /// failed.
    pub complete: Option<&'a Complete>,
    /// The number of bytes. An entry without a completion counts with its full length.
    pub bytes: u64,
}

/// An entry without details.
fn operation(submit: &Submit) -> Entry {
    Entry { opcode: submit.opcode, ..Entry::default() }
}

/// Whether an entry writes to a file.
pub fn gives(submit: &Submit) -> bool {
    operation(submit).gives() || submit.opcode == op::SPLICE
}

/// Whether an entry reads from a file.
pub fn takes(submit: &Submit) -> bool {
    operation(submit).takes() || submit.opcode == op::SPLICE
}

fn number(submit: &Submit, key: &str) -> Option<u64> {
    submit.details.get(key).and_then(Value::as_u64)
}

/// The file to which an entry writes, or that it names.
pub fn target(submit: &Submit) -> Option<Target<'static>> {
    let slot = number(submit, "slot").map(|slot| Target::Slot(slot as u32));
    slot.or_else(|| number(submit, "fd").map(|fd| Target::Fd(fd as i32)))
}

/// The file from which an entry reads.
pub fn source(submit: &Submit) -> Option<Target<'static>> {
    if submit.opcode != op::SPLICE {
        return target(submit);
    }
    let slot = number(submit, "from_slot").map(|slot| Target::Slot(slot as u32));
    slot.or_else(|| number(submit, "from_fd").map(|fd| Target::Fd(fd as i32)))
}

/// The bytes that an operation moved, by its completion. The second completion of a zero-copy send
/// counts as none.
pub fn count(complete: &Complete) -> u64 {
    let notification = complete.flags.iter().any(|flag| flag == "NOTIF");
    if notification { 0 } else { u64::from(complete.res.max(0).unsigned_abs()) }
}

impl Record {
    /// The writes of entries to a file.
    pub fn moved_into(&self, file: Target<'_>) -> Vec<Moved<'_>> {
        let named = real(file);
        let into = |submit: &Submit| {
            gives(submit)
                && match &named {
                    Some(path) => submit.file.as_ref() == Some(path),
                    None => target(submit) == Some(file),
                }
        };
        self.moved(into)
    }

    /// The reads of entries from a file. The source of a splice is known by its number only.
    pub fn moved_out_of(&self, file: Target<'_>) -> Vec<Moved<'_>> {
        let named = real(file);
        let out_of = |submit: &Submit| {
            takes(submit)
                && match &named {
                    Some(path) => submit.file.as_ref() == Some(path),
                    None => source(submit) == Some(file),
                }
        };
        self.moved(out_of)
    }

    /// How many bytes entries wrote to a file.
    pub fn bytes_into(&self, file: Target<'_>) -> u64 {
        self.moved_into(file).iter().map(|moved| moved.bytes).sum()
    }

    /// How many bytes entries read from a file.
    pub fn bytes_out_of(&self, file: Target<'_>) -> u64 {
        self.moved_out_of(file).iter().map(|moved| moved.bytes).sum()
    }

    /// How many bytes entries wrote to all files together.
    pub fn bytes_given(&self) -> u64 {
        self.moved(gives).iter().map(|moved| moved.bytes).sum()
    }

    /// How many bytes entries read from all files together.
    pub fn bytes_taken(&self) -> u64 {
        self.moved(takes).iter().map(|moved| moved.bytes).sum()
    }

    fn moved(&self, picked: impl Fn(&Submit) -> bool) -> Vec<Moved<'_>> {
        let entries: HashMap<u64, &Submit> =
            self.submits().filter(|submit| picked(submit)).map(|it| (it.seq, it)).collect();
        let mut all = Vec::new();
        let mut answered = Vec::new();
        for complete in self.completes() {
            let Some(submit) = complete.seq.and_then(|seq| entries.get(&seq)) else { continue };
            answered.push(submit.seq);
            let bytes = count(complete);
            if bytes > 0 {
                all.push(Moved { submit, complete: Some(complete), bytes });
            }
        }
        for submit in entries.values().filter(|submit| silent(submit)) {
            if !answered.contains(&submit.seq) && gives(submit) {
                let bytes = number(submit, "bytes").unwrap_or(0);
                all.push(Moved { submit, complete: None, bytes });
            }
        }
        all.sort_by_key(|moved| moved.submit.seq);
        all
    }
}

/// Whether an entry posts a completion only on failure (`IOSQE_CQE_SKIP_SUCCESS`).
pub fn silent(submit: &Submit) -> bool {
    submit.flags.iter().any(|flag| flag == "CQE_SKIP_SUCCESS")
}

/// The name by which the kernel knows a file.
fn real(file: Target<'_>) -> Option<String> {
    let Target::File(path) = file else { return None };
    let real = std::fs::canonicalize(path);
    Some(real.map_or_else(|_| path.to_string(), |real| real.display().to_string()))
}
