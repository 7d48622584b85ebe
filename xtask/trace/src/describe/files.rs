//! Reads, writes and other operations on an open file.

use common::catalog::{self, borrowed};
use common::text::plural;
use serde_json::Value;

use super::details::{Asked, Details};
use crate::codes::{op, sqe};
use crate::context::{Reader, long};
use crate::flags;
use crate::names::hex;

/// The descriptor or slot that most operations are about.
pub(super) fn file(asked: &Asked<'_>, details: &mut Details) {
    let fd = asked.entry.fd;
    if asked.entry.has(sqe::FIXED_FILE) {
        details.add("slot", fd, format!("slot {fd}"));
    } else {
        details.add("fd", fd, format!("fd {fd}"));
    }
}

pub(super) fn close_what(asked: &Asked<'_>, details: &mut Details) {
    match asked.entry.file_index {
        0 => details.add("fd", asked.entry.fd, format!("fd {}", asked.entry.fd)),
        index => details.add("slot", index - 1, format!("slot {}", index - 1)),
    }
}

/// How many bytes to read or write, in one buffer.
pub(super) fn bytes(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    if entry.vectorized() {
        return vectors(asked, details);
    }
    let words = match plural(entry.len, "byte") {
        // The provided buffer's own length counts.
        _ if entry.len == 0 && entry.has(sqe::BUFFER_SELECT) => String::new(),
        bytes if entry.takes() => format!("up to {bytes}"),
        bytes => bytes,
    };
    details.add("bytes", entry.len, words);
}

/// How many bytes to read or write, in how many buffers.
pub(super) fn vectors(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    in_buffers(asked, entry.addr, entry.len.into(), details);
}

/// As [`vectors`], for a list of `count` buffers at `list`.
pub(super) fn in_buffers(asked: &Asked<'_>, list: u64, count: u64, details: &mut Details) {
    let buffers = plural(count, "buffer");
    let upto = if asked.entry.takes() { "up to " } else { "" };
    let words = match asked.program.vectors(list, count) {
        Some(vectors) => {
            details.add("bytes", vectors.bytes, "");
            format!("{upto}{} in {buffers}", plural(vectors.bytes, "byte"))
        }
        None => buffers,
    };
    details.add("buffers", count, words);
}

/// The first bytes of what is written or sent.
pub(super) fn data(asked: &Asked<'_>, details: &mut Details) {
    let (entry, program) = (asked.entry, asked.program);
    if entry.takes() || entry.has(sqe::BUFFER_SELECT) {
        return;
    }
    let list = match entry.opcode {
        op::WRITEV | op::WRITEV_FIXED => Some((entry.addr, entry.len.into())),
        op::SENDMSG | op::SENDMSG_ZC => buffers_of(program, entry.addr),
        _ if entry.vectorized() => Some((entry.addr, entry.len.into())),
        _ => None,
    };
    let text = match list {
        Some((list, count)) => program.vectors(list, count).and_then(|vectors| {
            let (address, length) = vectors.first?;
            program.preview_of(address, length, vectors.bytes)
        }),
        None => program.preview(entry.addr, entry.len.into()),
    };
    if let Some(text) = text {
        details.add("data", text.clone(), text);
    }
}

/// The buffers of a `struct msghdr`: where their list is, and how many.
fn buffers_of(program: Reader, message: u64) -> Option<(u64, u64)> {
    let header: [u8; 56] = program.bytes(message)?;
    Some((long(&header, 16), long(&header, 24)))
}

/// Where in the file. -1 is the file's own position, which moves on. Pipes and sockets have no
/// position, and their offset is left out.
pub(super) fn offset(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let (offset, words) = match entry.off {
        u64::MAX => (Value::from("current"), "at the file's position".to_string()),
        offset => (offset.into(), format!("at {offset}")),
    };
    let stream = |file: String| {
        ["socket:", "pipe:", "anon_inode:"].iter().any(|kind| file.starts_with(kind))
    };
    let counts =
        entry.has(sqe::FIXED_FILE) || !asked.program.descriptor(entry.fd).is_some_and(stream);
    details.add("offset", offset, if counts { words } else { String::new() });
}

pub(super) fn registered_buffer(asked: &Asked<'_>, details: &mut Details) {
    let index = asked.entry.buf_index;
    details.add("registered_buffer", index, format!("registered buffer {index}"));
}

/// `preadv2(2)`'s flags, and the priority of `ioprio_set(2)`.
pub(super) fn rw_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("rw_flags", &borrowed::RW_FLAGS, asked.entry.op_flags);
    let priority = asked.entry.ioprio;
    if priority != 0 {
        details.add("io_priority", priority, format!("I/O priority {priority:#x}"));
    }
}

/// A part of a file. Some operations take a length of 0 for the whole rest.
pub(super) fn range(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let length = match entry.opcode {
        op::FALLOCATE => entry.addr,
        // The longer field came with Linux 6.10; the shorter counts where that is 0.
        op::FADVISE if entry.addr != 0 => entry.addr,
        _ => entry.len.into(),
    };
    let to_the_end = match entry.opcode {
        op::FALLOCATE => false,
        op::FSYNC => length == 0 && entry.off == 0,
        _ => length == 0,
    };
    let words = match (to_the_end, entry.off) {
        (true, 0) => "the whole file".to_string(),
        (true, _) => "to the end".to_string(),
        _ => plural(length, "byte"),
    };
    details.add("bytes", length, words);
    let whole = to_the_end && entry.off == 0;
    let words = if whole { String::new() } else { format!("from {}", entry.off) };
    details.add("offset", entry.off, words);
}

pub(super) fn sync_flags(asked: &Asked<'_>, details: &mut Details) {
    details.flags("fsync_flags", &catalog::FSYNC_FLAGS, asked.entry.op_flags);
}

pub(super) fn sync_range_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("sync_range_flags", &borrowed::SYNC_RANGE_FLAGS, asked.entry.op_flags);
}

/// `fallocate(2)`'s mode.
pub(super) fn mode_of_space(asked: &Asked<'_>, details: &mut Details) {
    details.bits("fallocate_mode", &borrowed::FALLOCATE_MODES, asked.entry.len);
}

pub(super) fn size(asked: &Asked<'_>, details: &mut Details) {
    let size = asked.entry.off;
    details.add("bytes", size, format!("to {}", plural(size, "byte")));
}

pub(super) fn advice(asked: &Asked<'_>, details: &mut Details) {
    let table = if asked.entry.opcode == op::MADVISE {
        &borrowed::MEMORY_ADVICE
    } else {
        &borrowed::FILE_ADVICE
    };
    let name = flags::code(table, asked.entry.op_flags);
    details.add("advice", name.clone(), name);
}

pub(super) fn memory_range(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let length = if entry.off != 0 { entry.off } else { entry.len.into() };
    details.add("bytes", length, plural(length, "byte"));
    details.add("memory", hex(entry.addr), format!("at {:#x}", entry.addr));
}

/// Where the bytes come from and where they go. An offset of -1 means no offset: a pipe takes
/// no other.
pub(super) fn splice_ends(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let end = |offset: u64| match offset {
        u64::MAX => (Value::from("current"), String::new()),
        offset => (offset.into(), format!(" at {offset}")),
    };
    let from = entry.file_index as i32;
    let (value, at) = if entry.opcode == op::TEE { end(u64::MAX) } else { end(entry.addr) };
    if entry.op_flags & FD_IN_FIXED != 0 {
        details.add("from_slot", from, format!("from slot {from}{at}"));
    } else {
        details.add("from_fd", from, format!("from fd {from}{at}"));
    }
    let (key, to) = if entry.has(sqe::FIXED_FILE) { ("slot", "slot") } else { ("fd", "fd") };
    let (to_value, to_at) = if entry.opcode == op::TEE { end(u64::MAX) } else { end(entry.off) };
    details.add(key, entry.fd, format!("to {to} {}{to_at}", entry.fd));
    if entry.opcode == op::SPLICE {
        details.add("from_offset", value, "");
        details.add("offset", to_value, "");
    }
}

/// `SPLICE_F_FD_IN_FIXED`, io_uring's own: the source is a slot.
const FD_IN_FIXED: u32 = 1 << 31;

pub(super) fn splice_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("splice_flags", &borrowed::SPLICE_FLAGS, asked.entry.op_flags & !FD_IN_FIXED);
}

pub(super) fn pipe_flags(asked: &Asked<'_>, details: &mut Details) {
    details.bits("pipe_flags", flags::OPEN, asked.entry.op_flags);
}

pub(super) fn install_flags(asked: &Asked<'_>, details: &mut Details) {
    details.flags("install_flags", &catalog::INSTALL_FLAGS, asked.entry.op_flags);
}
