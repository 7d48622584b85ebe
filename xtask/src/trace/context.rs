//! What an entry points at, read from the program's memory: a path, an address, a time, the
//! first bytes of a message. All of it is a favour: what cannot be read is left out.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use libc::pid_t;
use serde_json::Value;

use super::decode::{Completion, Entry, cqe, op, sqe};
use super::describe::Detail;
use super::sys::read_memory;

/// How many bytes of a message are shown.
const PREVIEW: usize = 24;

/// What an entry points at, as it goes in.
pub fn of_entry(pid: pid_t, entry: &Entry) -> Option<Detail> {
    match entry.opcode {
        op::TIMEOUT | op::LINK_TIMEOUT => duration(pid, entry),
        op::OPENAT | op::OPENAT2 | op::STATX | op::UNLINKAT | op::MKDIRAT | op::RENAMEAT => {
            let path = string(pid, entry.addr)?;
            Some(detail("path", path.clone(), format!("{path:?}")))
        }
        op::CONNECT | op::BIND => {
            let address = socket_address(pid, entry.addr, entry.off)?;
            Some(detail("address", address.clone(), address))
        }
        op::SEND | op::SEND_ZC | op::WRITE if !entry.has(sqe::BUFFER_SELECT) => {
            let text = preview(pid, entry.addr, entry.len as usize)?;
            Some(detail("data", text.clone(), text))
        }
        _ => None,
    }
}

/// What a completion has brought into the program's memory.
pub fn of_completion(pid: pid_t, entry: &Entry, completion: &Completion) -> Option<String> {
    let length = usize::try_from(completion.res).ok().filter(|length| *length > 0)?;
    match entry.opcode {
        op::READ | op::RECV if !completion.has(cqe::BUFFER) && entry.addr != 0 => {
            preview(pid, entry.addr, length)
        }
        _ => None,
    }
}

fn detail(key: &'static str, value: impl Into<Value>, words: String) -> Detail {
    Detail { key, value: value.into(), words }
}

/// How long an enter waits at most, in microseconds: `struct io_uring_getevents_arg`, which
/// `IORING_ENTER_EXT_ARG` says the fifth argument is.
pub fn of_enter(pid: pid_t, args: &[u64; 6]) -> Option<u64> {
    const EXT_ARG: u64 = 1 << 3;
    const TIME: u64 = 16;
    if args[3] & EXT_ARG == 0 {
        return None;
    }
    let mut address = [0; 8];
    read_memory(pid, args[4].checked_add(TIME)?, &mut address).ok()?;
    Some(timespec(pid, u64::from_ne_bytes(address))? / 1000)
}

/// Nanoseconds from a `struct __kernel_timespec`.
fn timespec(pid: pid_t, address: u64) -> Option<u64> {
    let mut bytes = [0; 16];
    read_memory(pid, address, &mut bytes).ok()?;
    let (seconds, rest) = bytes.split_at(8);
    let seconds = u64::from_ne_bytes(seconds.try_into().ok()?);
    let rest = u64::from_ne_bytes(rest.try_into().ok()?);
    Some(seconds.saturating_mul(1_000_000_000).saturating_add(rest))
}

fn duration(pid: pid_t, entry: &Entry) -> Option<Detail> {
    const ABSOLUTE: u32 = 1 << 0;
    const IMMEDIATE: u32 = 1 << 7;
    let nanoseconds =
        if entry.op_flags & IMMEDIATE != 0 { entry.addr } else { timespec(pid, entry.addr)? };
    let words = match entry.op_flags & ABSOLUTE {
        0 => format!("after {}", span(nanoseconds / 1000)),
        _ => format!("at {} of its clock", span(nanoseconds / 1000)),
    };
    Some(detail("nanoseconds", nanoseconds, words))
}

/// Microseconds in the unit that suits them.
pub fn span(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..10_000 => format!("{:.1} ms", us as f64 / 1e3),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

fn string(pid: pid_t, address: u64) -> Option<String> {
    // The string may end just before a page that is not there, so page by page would be
    // right; short steps do as well.
    let mut text = Vec::new();
    for step in 0..32 {
        let mut bytes = [0; 8];
        let got = read_memory(pid, address.checked_add(step * 8)?, &mut bytes);
        if got.is_err() && text.is_empty() {
            return None;
        }
        match bytes.iter().position(|byte| *byte == 0) {
            Some(end) => {
                text.extend(&bytes[..end]);
                break;
            }
            None => text.extend(bytes),
        }
    }
    Some(String::from_utf8_lossy(&text).into_owned())
}

fn preview(pid: pid_t, address: u64, length: usize) -> Option<String> {
    if length == 0 {
        return None;
    }
    let mut bytes = [0; PREVIEW];
    let shown = length.min(PREVIEW);
    read_memory(pid, address, &mut bytes[..shown]).ok()?;
    let text = |byte: &u8| matches!(byte, 0 | b'\t' | b'\r' | b'\n' | 0x20..0x7f);
    if bytes[..shown].iter().all(|byte| *byte == 0) || !bytes[..shown].iter().all(text) {
        return None;
    }
    let more = if length > shown { "…" } else { "" };
    Some(format!("\"{}\"{more}", bytes[..shown].escape_ascii()))
}

fn socket_address(pid: pid_t, address: u64, length: u64) -> Option<String> {
    let mut bytes = [0; 28];
    let length = usize::try_from(length).ok()?.min(bytes.len());
    read_memory(pid, address, &mut bytes[..length]).ok()?;
    let family = i32::from(u16::from_ne_bytes([bytes[0], bytes[1]]));
    let port = u16::from_be_bytes([bytes[2], bytes[3]]);
    match family {
        libc::AF_INET => {
            let ip = Ipv4Addr::new(bytes[4], bytes[5], bytes[6], bytes[7]);
            Some(SocketAddr::from((ip, port)).to_string())
        }
        libc::AF_INET6 => {
            let ip: [u8; 16] = bytes[8..24].try_into().ok()?;
            Some(SocketAddr::from((Ipv6Addr::from(ip), port)).to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn me() -> pid_t {
        std::process::id() as pid_t
    }

    #[test]
    fn a_send_shows_its_first_bytes() {
        let text = b"ack\0";
        let entry = Entry {
            opcode: op::SEND,
            addr: text.as_ptr() as u64,
            len: text.len() as u32,
            ..Default::default()
        };
        assert_eq!(of_entry(me(), &entry).expect("our own memory").words, r#""ack\x00""#);
    }

    #[test]
    fn a_timeout_shows_its_length() {
        let time = [0_u64, 250_000_000];
        let entry = Entry { opcode: op::TIMEOUT, addr: time.as_ptr() as u64, ..Default::default() };
        assert_eq!(of_entry(me(), &entry).expect("our own memory").words, "after 250 ms");
    }

    #[test]
    fn bad_addresses_are_left_out() {
        for opcode in 0..70 {
            let entry = Entry { opcode, addr: 8, len: 5, off: 16, ..Default::default() };
            assert_eq!(of_entry(me(), &entry), None, "operation {opcode}");
        }
    }
}
