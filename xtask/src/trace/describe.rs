//! What an entry asks and what a completion says, operation by operation: once for people,
//! once for programs.

mod rarer;

use common::catalog::{self, Table};
use serde_json::{Map, Value};

use super::decode::{Completion, Direct, Entry, cqe, op, sqe};
use super::names::{
    error_name, error_words, hex, message_flags, names, operation, plural, poll_events,
};

/// One thing worth knowing about an entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Detail {
    /// Its name in the JSON events.
    pub key: &'static str,
    /// Its value there.
    pub value: Value,
    /// The same in words; empty where it goes without saying.
    pub words: String,
}

/// The things worth knowing about an entry, in the order in which people want them.
#[derive(Debug, Default)]
pub struct Details(Vec<Detail>);

impl Details {
    fn add(&mut self, key: &'static str, value: impl Into<Value>, words: impl Into<String>) {
        self.0.push(Detail { key, value: value.into(), words: words.into() });
    }

    /// A detail found elsewhere: in the program's memory, say.
    pub fn push(&mut self, detail: Detail) {
        self.0.push(detail);
    }

    /// For people: `fd 3, multishot, into any free slot`.
    pub fn words(&self) -> String {
        let words: Vec<&str> =
            self.0.iter().map(|detail| detail.words.as_str()).filter(|w| !w.is_empty()).collect();
        words.join(", ")
    }

    /// For programs: an object.
    pub fn object(&self) -> Map<String, Value> {
        self.0.iter().map(|detail| (detail.key.to_string(), detail.value.clone())).collect()
    }

    fn flags(&mut self, key: &'static str, table: &'static Table, bits: u32, known: u32) {
        let rest = bits & !known;
        if rest != 0 {
            self.add(key, names(table, rest), format!("{:#}", table.flags(rest)));
        }
    }
}

/// What an entry asks for. `meaning` tells what a `user_data` in it stands for.
pub fn details(entry: &Entry, meaning: &dyn Fn(u64) -> String) -> Details {
    let mut details = Details::default();
    file(entry, &mut details);
    per_operation(entry, &mut details, meaning);
    if entry.multishot() {
        details.add("multishot", true, "multishot");
    }
    match entry.direct() {
        Direct::No => {}
        Direct::Any => details.add("into_slot", "any", "into any free slot"),
        Direct::Slot(slot) => details.add("into_slot", slot, format!("into slot {slot}")),
    }
    if entry.has(sqe::BUFFER_SELECT) {
        let group = entry.buf_index;
        let sends = matches!(entry.opcode, op::SEND | op::SEND_ZC | op::SENDMSG | op::WRITE);
        let way = if sends { "from" } else { "into" };
        details.add("buffer_group", group, format!("{way} a buffer of group {group}"));
    }
    if entry.personality != 0 {
        let id = entry.personality;
        details.add("personality", id, format!("as personality {id}"));
    }
    details
}

/// The descriptor or slot that most operations are about.
fn file(entry: &Entry, details: &mut Details) {
    let no_file = matches!(
        entry.opcode,
        op::NOP
            | op::NOP128
            | op::TIMEOUT
            | op::TIMEOUT_REMOVE
            | op::LINK_TIMEOUT
            | op::POLL_REMOVE
            | op::ASYNC_CANCEL
            | op::CLOSE
            | op::FILES_UPDATE
            | op::MADVISE
            | op::PROVIDE_BUFFERS
            | op::REMOVE_BUFFERS
            | op::SOCKET
            | op::WAITID
            | op::PIPE
            | op::FUTEX_WAIT
            | op::FUTEX_WAKE
            | op::FUTEX_WAITV
    );
    let fd = entry.fd;
    match entry.opcode {
        _ if no_file => {}
        op::OPENAT
        | op::OPENAT2
        | op::STATX
        | op::RENAMEAT
        | op::UNLINKAT
        | op::MKDIRAT
        | op::SYMLINKAT
        | op::LINKAT
            if fd == libc::AT_FDCWD =>
        {
            details.add("fd", fd, "");
        }
        _ if entry.has(sqe::FIXED_FILE) => details.add("slot", fd, format!("slot {fd}")),
        _ => details.add("fd", fd, format!("fd {fd}")),
    }
}

fn per_operation(entry: &Entry, details: &mut Details, meaning: &dyn Fn(u64) -> String) {
    match entry.opcode {
        op::READ | op::WRITE | op::READ_MULTISHOT | op::READ_FIXED | op::WRITE_FIXED => {
            bytes(entry, details);
            if matches!(entry.opcode, op::READ_FIXED | op::WRITE_FIXED) {
                registered_buffer(entry, details);
            }
            offset(entry, details);
        }
        op::READV | op::WRITEV | op::READV_FIXED | op::WRITEV_FIXED => {
            details.add("buffers", entry.len, format!("{} buffers", entry.len));
            offset(entry, details);
        }
        op::SEND
        | op::RECV
        | op::SEND_ZC
        | op::SENDMSG
        | op::SENDMSG_ZC
        | op::RECVMSG
        | op::RECV_ZC => message(entry, details),
        op::POLL_ADD => {
            details.add(
                "events",
                poll_events(entry.op_flags),
                poll_events(entry.op_flags).join("|"),
            );
            details.flags("poll_flags", &catalog::POLL_FLAGS, entry.len, 1);
        }
        op::POLL_REMOVE => {
            target(entry, details, meaning);
            details.flags("poll_flags", &catalog::POLL_FLAGS, entry.len, 0);
        }
        op::TIMEOUT | op::LINK_TIMEOUT => {
            if entry.opcode == op::TIMEOUT && entry.off != 0 {
                let count = entry.off;
                details.add("count", count, format!("or {count} completions"));
            }
            details.flags("timeout_flags", &catalog::TIMEOUT_FLAGS, entry.op_flags, 1 << 6);
        }
        op::TIMEOUT_REMOVE => {
            target(entry, details, meaning);
            details.flags("timeout_flags", &catalog::TIMEOUT_FLAGS, entry.op_flags, 0);
        }
        op::ASYNC_CANCEL => cancel(entry, details, meaning),
        op::ACCEPT => {
            details.flags("accept_flags", &catalog::ACCEPT_FLAGS, u32::from(entry.ioprio), 1);
        }
        op::CLOSE => match entry.file_index {
            0 => details.add("fd", entry.fd, format!("fd {}", entry.fd)),
            index => details.add("slot", index - 1, format!("slot {}", index - 1)),
        },
        op::SHUTDOWN => {
            let how = match entry.len {
                0 => "reading",
                1 => "writing",
                2 => "both ways",
                _ => "?",
            };
            details.add("how", how, how);
        }
        _ => rarer::describe(entry, details),
    }
}

fn bytes(entry: &Entry, details: &mut Details) {
    let takes = matches!(
        entry.opcode,
        op::READ | op::READ_FIXED | op::READ_MULTISHOT | op::RECV | op::RECV_ZC
    );
    let words = match entry.len {
        0 => String::new(),
        count if takes => format!("up to {}", plural(u64::from(count), "byte")),
        count => plural(u64::from(count), "byte"),
    };
    details.add("bytes", entry.len, words);
}

fn offset(entry: &Entry, details: &mut Details) {
    match entry.off {
        u64::MAX => details.add("offset", "current", ""),
        0 => details.add("offset", 0, ""),
        offset => details.add("offset", offset, format!("at {offset}")),
    }
}

fn registered_buffer(entry: &Entry, details: &mut Details) {
    let index = entry.buf_index;
    details.add("registered_buffer", index, format!("registered buffer {index}"));
}

fn message(entry: &Entry, details: &mut Details) {
    const MULTISHOT: u32 = 1 << 1;
    const FIXED_BUFFER: u32 = 1 << 2;
    if !matches!(entry.opcode, op::SENDMSG | op::SENDMSG_ZC | op::RECVMSG) {
        bytes(entry, details);
    }
    let flags = u32::from(entry.ioprio);
    if flags & FIXED_BUFFER != 0 {
        registered_buffer(entry, details);
    }
    details.flags("send_recv_flags", &catalog::SEND_RECV_FLAGS, flags, MULTISHOT | FIXED_BUFFER);
    if entry.op_flags != 0 {
        let names = message_flags(entry.op_flags);
        let words = names.join("|");
        details.add("msg_flags", names, words);
    }
}

/// Whose `user_data` a removal or an update is for.
fn target(entry: &Entry, details: &mut Details, meaning: &dyn Fn(u64) -> String) {
    details.add("target", hex(entry.addr), format!("of [{}]", meaning(entry.addr)));
}

fn cancel(entry: &Entry, details: &mut Details, meaning: &dyn Fn(u64) -> String) {
    const ALL: u32 = 1 << 0;
    const FD: u32 = 1 << 1;
    const ANY: u32 = 1 << 2;
    const FD_FIXED: u32 = 1 << 3;
    const USERDATA: u32 = 1 << 4;
    const OP: u32 = 1 << 5;
    let flags = entry.op_flags;
    let all = if flags & ALL != 0 { "all" } else { "one" };
    if flags & ANY != 0 {
        details.add("target", "any", "everything");
    } else if flags & FD != 0 {
        let what = if flags & FD_FIXED != 0 { "slot" } else { "fd" };
        details.add(
            "target",
            format!("{what} {}", entry.fd),
            format!("{all} on {what} {}", entry.fd),
        );
    } else if flags & OP != 0 {
        let name = operation(entry.len.min(255) as u8);
        details.add("target", name.clone(), format!("{all} {name}"));
    }
    if flags & USERDATA != 0 || flags & (FD | ANY | OP) == 0 {
        let words = format!("{all} of [{}]", meaning(entry.addr));
        details.add("target_user_data", hex(entry.addr), words);
    }
    if flags != 0 {
        details.add("cancel_flags", names(&catalog::CANCEL_FLAGS, flags), "");
    }
}

/// What a completion says, in words: a value with its unit, or an error's name.
pub fn result(asked: Option<&Entry>, completion: &Completion) -> String {
    if completion.has(cqe::NOTIF) {
        return "the buffer is free again".to_string();
    }
    if let Some(error) = completion.error() {
        return format!("{} ({})", error_name(error), error_words(error));
    }
    let res = completion.res;
    let Some(entry) = asked else { return res.to_string() };
    match entry.opcode {
        op::ACCEPT | op::OPENAT | op::OPENAT2 | op::SOCKET => match entry.direct() {
            Direct::No => format!("fd {res}"),
            Direct::Any => format!("slot {res}"),
            Direct::Slot(slot) => format!("slot {slot}"),
        },
        op::FIXED_FD_INSTALL => format!("fd {res}"),
        op::RECV
        | op::RECVMSG
        | op::READ
        | op::READV
        | op::READ_FIXED
        | op::READ_MULTISHOT
        | op::READV_FIXED
            if res == 0 && (entry.len != 0 || entry.has(sqe::BUFFER_SELECT)) =>
        {
            "0, the end".to_string()
        }
        op::SEND
        | op::RECV
        | op::SENDMSG
        | op::RECVMSG
        | op::SEND_ZC
        | op::SENDMSG_ZC
        | op::READ
        | op::WRITE
        | op::READV
        | op::WRITEV
        | op::READ_FIXED
        | op::WRITE_FIXED
        | op::SPLICE
        | op::READV_FIXED
        | op::WRITEV_FIXED
        | op::READ_MULTISHOT
        | op::TEE
        | op::RECV_ZC => plural(u64::from(res.unsigned_abs()), "byte"),
        op::POLL_ADD => poll_events(res as u32).join("|"),
        op::ASYNC_CANCEL if entry.op_flags & 0b101 != 0 => format!("{res} cancelled"),
        _ if res == 0 => "done".to_string(),
        _ => res.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::names::user_data;
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    #[test]
    fn a_days_accept_in_words() {
        let accept = Entry {
            opcode: op::ACCEPT,
            fd: 3,
            ioprio: 1,
            file_index: u32::MAX,
            ..Default::default()
        };
        assert_eq!(details(&accept, &user_data).words(), "fd 3, multishot, into any free slot");
        let object = details(&accept, &user_data).object();
        assert_eq!(object["fd"], json!(3));
        assert_eq!(object["into_slot"], json!("any"));
    }

    proptest! {
        /// Whatever a program leaves in its ring, the tracer tells it and does not fall over.
        #[test]
        fn garbage_is_described(
            sqe in proptest::array::uniform32(any::<u8>()),
            more in proptest::array::uniform32(any::<u8>()),
            cqe in proptest::array::uniform16(any::<u8>()),
            opcode in proptest::option::of(0..70_u8),
        ) {
            let mut bytes = [0; 64];
            bytes[..32].copy_from_slice(&sqe);
            bytes[32..].copy_from_slice(&more);
            bytes[0] = opcode.unwrap_or(bytes[0]);
            let entry = Entry::parse(&bytes);
            let completion = Completion::parse(&cqe, None);
            prop_assert!(!operation(entry.opcode).is_empty());
            let _ = (details(&entry, &user_data).words(), details(&entry, &user_data).object());
            prop_assert!(!result(Some(&entry), &completion).is_empty() || completion.res == 0);
            prop_assert!(!result(None, &completion).is_empty());
        }
    }
}
