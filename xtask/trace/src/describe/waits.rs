//! Polls, timeouts, cancels, and other operations that wait for something to happen.

use common::catalog::{self, borrowed};
use common::text::plural;

use super::details::{Asked, Details};
use crate::context::{Time, long, word};
use crate::flags;
use crate::names::{hex, names, operation};

pub(super) fn poll_events(asked: &Asked<'_>, details: &mut Details) {
    /// `IORING_POLL_ADD_MULTI`: shown as its own word.
    const MULTI: u32 = 1 << 0;
    let events = flags::bits(flags::POLL, asked.entry.op_flags);
    let words = if events.is_empty() { "no events".to_string() } else { events.join("|") };
    details.add("events", events, words);
    details.flags("poll_flags", &catalog::POLL_FLAGS, asked.entry.len & !MULTI);
}

/// The new values of an armed poll.
pub(super) fn poll_change(asked: &Asked<'_>, details: &mut Details) {
    const EVENTS: u32 = 1 << 1;
    const USER_DATA: u32 = 1 << 2;
    let entry = asked.entry;
    if entry.len & EVENTS != 0 {
        let events = flags::bits(flags::POLL, entry.op_flags);
        let words = format!("to {}", events.join("|"));
        details.add("events", events, words);
    }
    if entry.len & USER_DATA != 0 {
        let words = format!("to [{}]", (asked.meaning)(entry.off));
        details.add("new_user_data", hex(entry.off), words);
    }
    details.flags("poll_flags", &catalog::POLL_FLAGS, entry.len);
}

/// Whose `user_data` a removal or an update is for.
pub(super) fn target(asked: &Asked<'_>, details: &mut Details) {
    let target = asked.entry.addr;
    details.add("target", hex(target), format!("of [{}]", (asked.meaning)(target)));
}

/// `IORING_TIMEOUT_ABS`.
const ABSOLUTE: u32 = 1 << 0;
/// `IORING_TIMEOUT_MULTISHOT`.
const MULTISHOT: u32 = 1 << 6;

pub(super) fn time(asked: &Asked<'_>, details: &mut Details) {
    add_time(asked, asked.entry.addr, details);
}

/// A running timeout or linked timeout gets another time.
pub(super) fn new_time(asked: &Asked<'_>, details: &mut Details) {
    const UPDATE: u32 = 1 << 1 | 1 << 4;
    if asked.entry.op_flags & UPDATE != 0 {
        add_time(asked, asked.entry.off, details);
    }
}

fn add_time(asked: &Asked<'_>, field: u64, details: &mut Details) {
    /// `IORING_TIMEOUT_IMMEDIATE_ARG`: the field is the time, not its address.
    const IMMEDIATE: u32 = 1 << 7;
    let bits = asked.entry.op_flags;
    let time =
        if bits & IMMEDIATE != 0 { Some(Time(field.into())) } else { asked.program.time(field) };
    let Some(time) = time else { return };
    let words = match bits {
        bits if bits & ABSOLUTE != 0 => format!("at {time} of its clock"),
        bits if bits & MULTISHOT != 0 => format!("every {time}"),
        _ => format!("after {time}"),
    };
    details.add("nanoseconds", time.json(), words);
}

/// How many completions end it sooner, or how often it fires.
pub(super) fn count(asked: &Asked<'_>, details: &mut Details) {
    // The kernel reads no more of the field.
    let count = asked.entry.off as u32;
    if count != 0 && asked.entry.op_flags & MULTISHOT != 0 {
        details.add("times", count, plural(count, "time"));
    } else if count != 0 {
        details.add("count", count, format!("or {}", plural(count, "completion")));
    }
}

pub(super) fn timeout_flags(asked: &Asked<'_>, details: &mut Details) {
    details.flags("timeout_flags", &catalog::TIMEOUT_FLAGS, asked.entry.op_flags & !MULTISHOT);
}

pub(super) fn cancel(asked: &Asked<'_>, details: &mut Details) {
    const ALL: u32 = 1 << 0;
    const FD: u32 = 1 << 1;
    const ANY: u32 = 1 << 2;
    const FD_FIXED: u32 = 1 << 3;
    const USERDATA: u32 = 1 << 4;
    const OP: u32 = 1 << 5;
    let entry = asked.entry;
    let flags = entry.op_flags;
    let all = if flags & ALL != 0 { "all" } else { "one" };
    if flags & ANY != 0 {
        details.add("target", "any", "everything");
    } else if flags & FD != 0 {
        let what = if flags & FD_FIXED != 0 { "slot" } else { "fd" };
        let target = format!("{what} {}", entry.fd);
        let words = format!("{all} on {target}");
        details.add("target", target, words);
    } else if flags & OP != 0 {
        let name = operation(entry.len.min(255) as u8);
        let words = format!("{all} {name}");
        details.add("target", name, words);
    }
    if flags & USERDATA != 0 || flags & (FD | ANY | OP) == 0 {
        let words = format!("{all} of [{}]", (asked.meaning)(entry.addr));
        details.add("target_user_data", hex(entry.addr), words);
    }
    if flags != 0 {
        details.add("cancel_flags", names(&catalog::CANCEL_FLAGS, flags), "");
    }
}

/// `waitid(2)`: which process to wait for, and which of its changes.
pub(super) fn process(asked: &Asked<'_>, details: &mut Details) {
    let entry = asked.entry;
    let whom = flags::code(&borrowed::WAIT_TARGETS, entry.len);
    let words = match entry.len {
        libc::P_ALL => whom.clone(),
        _ => format!("{whom} {}", entry.fd),
    };
    details.add("id_type", whom, words);
    details.add("id", entry.fd, "");
    details.bits("wait_options", &borrowed::WAIT_FLAGS, entry.file_index);
}

/// The futex's address, size and flags.
pub(super) fn futex(asked: &Asked<'_>, details: &mut Details) {
    let address = hex(asked.entry.addr);
    details.add("futex", address.clone(), address);
    futex_flags(asked.entry.fd as u32, details);
}

fn futex_names(bits: u32) -> Vec<String> {
    const SIZE: u32 = 3;
    let mut names = vec![flags::code(&borrowed::FUTEX_SIZES, bits & SIZE)];
    names.extend(flags::bits(&borrowed::FUTEX_FLAGS, bits & !SIZE));
    names
}

fn futex_flags(bits: u32, details: &mut Details) {
    let names = futex_names(bits);
    let words = names.join("|");
    details.add("futex_flags", names, words);
}

pub(super) fn while_it_is(asked: &Asked<'_>, details: &mut Details) {
    let value = asked.entry.off;
    details.add("value", value, format!("while it is {value}"));
}

pub(super) fn wakes(asked: &Asked<'_>, details: &mut Details) {
    let count = asked.entry.off;
    details.add("count", count, format!("up to {}", plural(count, "waiter")));
}

/// Which waiters are meant: all, unless some bits are missing.
pub(super) fn mask(asked: &Asked<'_>, details: &mut Details) {
    const ALL: u64 = 0xffff_ffff;
    let mask = asked.entry.addr3;
    let words = if mask == ALL { String::new() } else { format!("mask {mask:#x}") };
    details.add("mask", hex(mask), words);
}

/// A list of `struct futex_waitv`.
pub(super) fn futexes(asked: &Asked<'_>, details: &mut Details) {
    /// `FUTEX_WAITV_MAX`: the kernel takes no more.
    const MOST: u32 = 128;
    /// How many are shown.
    const SHOWN: u32 = 4;
    const SIZE: u64 = 24;
    let entry = asked.entry;
    let count = entry.len;
    let words = if count == 1 { "1 futex".to_string() } else { format!("any of {count} futexes") };
    details.add("count", count, words);
    if count > MOST {
        return;
    }
    let one = |index: u32| {
        let waitv: [u8; 24] =
            asked.program.bytes(entry.addr.checked_add(u64::from(index) * SIZE)?)?;
        let (value, address, bits) = (long(&waitv, 0), long(&waitv, 8), word(&waitv, 16));
        let names = futex_names(bits).join("|");
        Some(format!("{address:#x} while it is {value} {names}"))
    };
    let shown: Option<Vec<String>> = (0..count.min(SHOWN)).map(one).collect();
    if let Some(mut shown) = shown.filter(|shown| !shown.is_empty()) {
        if count > SHOWN {
            shown.push("…".to_string());
        }
        let words = shown.join(", ");
        details.add("futexes", shown, words);
    }
}
