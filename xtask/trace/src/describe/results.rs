//! What a completion says: a value with its unit, an error's name, and what the operation
//! has left in the program's memory.

use super::details::Details;
use crate::codes::{cqe, op, sqe};
use crate::context::{Reader, word};
use crate::decode::{Completion, Direct, Entry};
use crate::flags;
use crate::names::{error_name, error_words};
use crate::registered::Filled;
use common::text::plural;

/// The meaning of a completion in words, and for programs what its result does not say. `asked` is
/// the entry that it answers; `filled` are the provided buffers that it gives to the program, as
/// far as they are known.
pub fn result(
    asked: Option<&Entry>,
    completion: &Completion,
    program: Reader,
    filled: &[Filled],
) -> (String, Details) {
    let mut more = Details::default();
    let words = match asked {
        _ if completion.has(cqe::NOTIF) => "the buffer is free again".to_string(),
        _ if completion.error().is_some() => error(completion),
        Some(entry) => value(entry, completion.res),
        None => completion.res.to_string(),
    };
    if let Some(entry) = asked {
        buffers(entry, completion, filled, &mut more);
        if completion.has(cqe::NOTIF) {
            notification(entry, completion, &mut more);
        } else if completion.error().is_none() {
            left_in_memory(entry, completion, program, filled, &mut more);
        }
    }
    let words = match (words.as_str(), more.words()) {
        (_, more) if more.is_empty() => words,
        ("done", more) => more,
        (_, more) => format!("{words} {more}"),
    };
    (words, more)
}

fn error(completion: &Completion) -> String {
    let error = completion.error().unwrap_or(0);
    format!("{} ({})", error_name(error), error_words(error))
}

fn value(entry: &Entry, res: i32) -> String {
    let count = u64::from(res.unsigned_abs());
    match entry.opcode {
        op::ACCEPT | op::OPENAT | op::OPENAT2 | op::SOCKET => match entry.direct() {
            Direct::No => format!("fd {res}"),
            Direct::Any => format!("slot {res}"),
            Direct::Slot(slot) => format!("slot {slot}"),
        },
        op::FIXED_FD_INSTALL => format!("fd {res}"),
        op::GETXATTR | op::FGETXATTR | op::SPLICE | op::TEE => plural(count, "byte"),
        _ if entry.takes() && res == 0 && asks_for_bytes(entry) => "0, the end".to_string(),
        _ if entry.takes() || entry.gives() => plural(count, "byte"),
        op::POLL_ADD => flags::bits(flags::POLL, res as u32).join("|"),
        op::EPOLL_WAIT => plural(count, "event"),
        op::FUTEX_WAKE => format!("{} woken", plural(count, "waiter")),
        op::ASYNC_CANCEL if entry.op_flags & 0b101 != 0 => format!("{res} cancelled"),
        op::REMOVE_BUFFERS => plural(count, "buffer"),
        op::FILES_UPDATE => plural(count, "file"),
        _ if res == 0 => "done".to_string(),
        _ => res.to_string(),
    }
}

/// An entry that asks for nothing gets 0 bytes, which is not the end. Messages have their lengths
/// elsewhere.
fn asks_for_bytes(entry: &Entry) -> bool {
    entry.len != 0 || entry.has(sqe::BUFFER_SELECT) || entry.opcode == op::RECVMSG
}

/// The provided buffers of a bundle. A single buffer has its own field in the event.
fn buffers(entry: &Entry, completion: &Completion, filled: &[Filled], more: &mut Details) {
    if entry.bundles() && completion.buffer().is_some() {
        more.add("bundle", true, "");
        if !filled.is_empty() {
            let ids: Vec<u16> = filled.iter().map(|buffer| buffer.id).collect();
            more.add("buffers", ids, "");
        }
    }
}

/// Whether a zero-copy send was copied after all, if the program asked for that.
fn notification(entry: &Entry, completion: &Completion, more: &mut Details) {
    /// `IORING_SEND_ZC_REPORT_USAGE`.
    const REPORT: u16 = 1 << 3;
    /// `IORING_NOTIF_USAGE_ZC_COPIED`.
    const COPIED: i32 = i32::MIN;
    if entry.ioprio & REPORT != 0 {
        let copied = completion.res & COPIED != 0;
        let words = if copied { "(it was copied)" } else { "(nothing was copied)" };
        more.add("copied", copied, words);
    }
}

/// What the operation has left in the program's memory.
fn left_in_memory(
    entry: &Entry,
    completion: &Completion,
    program: Reader,
    filled: &[Filled],
    more: &mut Details,
) {
    let res = completion.res;
    match entry.opcode {
        op::READ | op::RECV | op::READ_MULTISHOT | op::READ_FIXED if res > 0 => {
            let length = u64::from(res.unsigned_abs());
            let text = match filled.first() {
                Some(buffer) => {
                    program.preview_of(buffer.address, length.min(buffer.length.into()), length)
                }
                None if completion.has(cqe::BUFFER) => None,
                None => program.preview(entry.addr, length),
            };
            if let Some(text) = text {
                more.add("data", text.clone(), text);
            }
        }
        op::GETXATTR | op::FGETXATTR => {
            if let Some(text) = program.preview(entry.off, u64::from(res.unsigned_abs())) {
                more.add("data", text.clone(), text);
            }
        }
        op::ACCEPT if !entry.multishot() => peer(entry, program, more),
        op::PIPE => pipe(entry, program, more),
        op::WAITID => process(entry, program, more),
        op::EPOLL_WAIT => events(entry, res, program, more),
        op::URING_CMD | op::URING_CMD128 => option(entry, res, program, more),
        _ => {}
    }
}

/// The address of the accepted peer, if the program asked for it.
fn peer(entry: &Entry, program: Reader, more: &mut Details) {
    if entry.addr == 0 || entry.off == 0 {
        return;
    }
    let length = program.bytes(entry.off).map(u32::from_ne_bytes);
    if let Some(peer) = length.and_then(|length| program.socket_address(entry.addr, length.into()))
    {
        more.add("peer", peer.clone(), format!("from {peer}"));
    }
}

/// The two ends.
fn pipe(entry: &Entry, program: Reader, more: &mut Details) {
    let ends = program.numbers(entry.addr, 2, 2);
    let (key, what, ends) = match (entry.direct(), ends.as_deref()) {
        // The kernel does not repeat what the program chose.
        (Direct::Slot(slot), _) => ("slots", "slots", [slot as i32, slot as i32 + 1]),
        (Direct::Any, Some([read, write])) => ("slots", "slots", [*read, *write]),
        (Direct::No, Some([read, write])) => ("fds", "fds", [*read, *write]),
        _ => return,
    };
    more.add(key, ends.to_vec(), format!("{what} {} and {}", ends[0], ends[1]));
}

/// `siginfo_t` as `waitid(2)` fills it in. A process id of 0: no child had changed.
fn process(entry: &Entry, program: Reader, more: &mut Details) {
    let Some(info) = (entry.off != 0).then(|| program.bytes::<28>(entry.off)).flatten() else {
        return;
    };
    let (code, pid, status) = (word(&info, 8) as i32, word(&info, 16), word(&info, 24));
    if pid == 0 {
        return;
    }
    let what = match code {
        libc::CLD_EXITED => format!("exited with {status}"),
        libc::CLD_KILLED | libc::CLD_DUMPED => format!("was killed by signal {status}"),
        libc::CLD_STOPPED => format!("was stopped by signal {status}"),
        libc::CLD_CONTINUED => "goes on".to_string(),
        _ => format!("has status {status}"),
    };
    more.add("process", pid, format!("process {pid} {what}"));
    more.add("process_status", status, "");
}

/// The first few events of an `epoll_wait(2)`.
fn events(entry: &Entry, count: i32, program: Reader, more: &mut Details) {
    const SHOWN: i32 = 4;
    let one = |index: i32| {
        let offset = index as u64 * size_of::<libc::epoll_event>() as u64;
        let (events, data) = super::sockets::epoll_event(program, entry.addr.checked_add(offset)?)?;
        Some(format!("{} {data:#x}", flags::bits(flags::EPOLL, events).join("|")))
    };
    let shown: Option<Vec<String>> = (0..count.min(SHOWN)).map(one).collect();
    if let Some(mut shown) = shown.filter(|shown| !shown.is_empty()) {
        if count > SHOWN {
            shown.push("…".to_string());
        }
        let words = shown.join(", ");
        more.add("events", shown, words);
    }
}

/// The value of a socket option that is a number. The result itself is the option's length.
fn option(entry: &Entry, length: i32, program: Reader, more: &mut Details) {
    /// `SOCKET_URING_OP_GETSOCKOPT`.
    const GET: u32 = 2;
    if entry.off as u32 != GET || length != 4 {
        return;
    }
    if let Some(value) = program.bytes(entry.addr3).map(i32::from_ne_bytes) {
        more.add("option_value", value, format!("bytes: {value}"));
    }
}
