//! Operations on rings themselves: their buffers, their slots, messages between them.

use common::catalog;
use common::text::plural;
use serde_json::Value;

use super::details::{Asked, Details};
use crate::context::Reader;
use crate::names::hex;

/// A NOP does nothing, on what its flags say.
pub(super) fn nop(asked: &Asked<'_>, details: &mut Details) {
    const INJECT_RESULT: u32 = 1 << 0;
    const FILE: u32 = 1 << 1;
    const FIXED_FILE: u32 = 1 << 2;
    const FIXED_BUFFER: u32 = 1 << 3;
    let entry = asked.entry;
    let bits = entry.op_flags;
    if bits & FIXED_FILE != 0 {
        details.add("slot", entry.fd, format!("slot {}", entry.fd));
    } else if bits & FILE != 0 {
        details.add("fd", entry.fd, format!("fd {}", entry.fd));
    }
    if bits & FIXED_BUFFER != 0 {
        super::files::registered_buffer(asked, details);
    }
    if bits & INJECT_RESULT != 0 {
        let result = entry.len as i32;
        details.add("result", result, format!("result {result}"));
    }
    details.flags("nop_flags", &catalog::NOP_FLAGS, bits);
}

/// The kernel gets buffers, to pick from.
pub(super) fn buffers(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let (count, each, group, first) = (entry.fd, entry.len, entry.buf_index, entry.off);
    let buffers = plural(count.max(0) as u64, "buffer");
    details.add("count", count, format!("{buffers} of {}", plural(each, "byte")));
    details.add("bytes", each, "");
    details.add("buffer_group", group, format!("to group {group}"));
    details.add("first", first, format!("from number {first}"));
}

/// The kernel gives buffers back.
pub(super) fn buffers_back(asked: &Asked<'_>, details: &mut Details) {
    let (count, group) = (asked.entry.fd, asked.entry.buf_index);
    details.add("count", count, plural(count.max(0) as u64, "buffer"));
    details.add("buffer_group", group, format!("from group {group}"));
}

/// Descriptors go into slots; -1 empties one, -2 leaves it as it is.
pub(super) fn files_update(asked: &Asked<'_>, details: &mut Details) {
    /// `IORING_FILE_INDEX_ALLOC`.
    const ANY: u32 = u32::MAX;
    let entry = asked.entry;
    // The kernel reads no more of the field.
    let (count, first) = (entry.len, entry.off as u32);
    details.add("count", count, plural(count, "file"));
    match first {
        ANY => details.add("offset", "any", "into any free slots"),
        first => details.add("offset", first, format!("from slot {first} on")),
    }
    fds(asked.program, entry.addr, count.into(), details);
}

/// A list of descriptors, of which the first few are shown.
pub(crate) fn fds(program: Reader, list: u64, count: u64, details: &mut Details) {
    const SHOWN: u64 = 8;
    if let Some(fds) = program.numbers(list, count, SHOWN).filter(|fds| !fds.is_empty()) {
        let mut words: Vec<String> = fds.iter().map(i32::to_string).collect();
        if count > SHOWN {
            words.push("…".to_string());
        }
        details.add("fds", fds, format!("fds {}", words.join(" ")));
    }
}

/// What another ring gets: a completion, or a file out of a slot.
pub(super) fn message(asked: &Asked<'_>, details: &mut Details) {
    const SEND_FD: u32 = 1;
    const FLAGS_PASS: u32 = 1 << 1;
    let entry = asked.entry;
    let command = catalog::MSG_RING_COMMANDS.name(entry.addr as u32);
    details.add("command", format!("{command:#}"), format!("{command:#}"));
    if entry.addr as u32 == SEND_FD {
        let from = entry.addr3;
        let (to, words) = match entry.file_index {
            0 => (Value::Null, "no slot".to_string()),
            u32::MAX => ("any".into(), "any free slot".to_string()),
            index => ((index - 1).into(), format!("slot {}", index - 1)),
        };
        details.add("from_slot", from, format!("slot {from}"));
        details.add("to_slot", to, format!("into {words}"));
    } else {
        details.add("message", entry.len, format!("result {}", entry.len as i32));
    }
    details.add("message_user_data", hex(entry.off), format!("user_data {:#x}", entry.off));
    if entry.op_flags & FLAGS_PASS != 0 {
        let flags = entry.file_index;
        details.add("message_flags", flags, format!("flags {flags:#x}"));
    }
    details.flags("msg_ring_flags", &catalog::MSG_RING_FLAGS, entry.op_flags);
}

/// An operation that is not known.
pub(super) fn raw(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    details.add("off", hex(entry.off), format!("off {:#x}", entry.off));
    details.add("addr", hex(entry.addr), format!("addr {:#x}", entry.addr));
    details.add("len", entry.len, format!("len {}", entry.len));
}
