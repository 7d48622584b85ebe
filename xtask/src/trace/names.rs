//! Numbers as names: operations, flags, errors, `user_data`.

use common::catalog::{self, Table};

/// The names of the bits that are set; unknown ones as one number at the end.
pub fn names(table: &'static Table, bits: u32) -> Vec<String> {
    let mut names: Vec<String> = table.set_in(bits).map(|entry| entry.short.to_string()).collect();
    match table.unknown_in(bits) {
        0 => {}
        rest => names.push(format!("{rest:#x}")),
    }
    names
}

/// An operation's short name, `ACCEPT`; `operation 77` for one that nobody knows yet.
pub fn operation(opcode: u8) -> String {
    format!("{:#}", catalog::OPERATIONS.name(u32::from(opcode)))
}

/// `1 byte`, `2 bytes`.
pub fn plural(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// An error's name as the headers spell it.
pub fn error_name(number: i32) -> String {
    // What the kernel uses inside and `ptrace` shows: the call is about to be repeated.
    match number {
        512 => return "ERESTARTSYS".to_string(),
        513 => return "ERESTARTNOINTR".to_string(),
        514 => return "ERESTARTNOHAND".to_string(),
        516 => return "ERESTART_RESTARTBLOCK".to_string(),
        _ => {}
    }
    match nix::errno::Errno::from_raw(number) {
        nix::errno::Errno::UnknownErrno => format!("error {number}"),
        known => format!("{known:?}"),
    }
}

/// What an error means, as `strerror(3)` says it, in lower case.
pub fn error_words(number: i32) -> String {
    let words = nix::errno::Errno::from_raw(number).desc();
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// A value of `user_data` that is no token: as a small number, as text, or as an address.
pub fn user_data(value: u64) -> String {
    let bytes = value.to_ne_bytes();
    let length = bytes.iter().position(|byte| *byte == 0).unwrap_or(8);
    let (text, rest) = bytes.split_at(length);
    let printable = text.iter().all(|byte| (0x20..0x7f).contains(byte));
    if length >= 3 && printable && rest.iter().all(|byte| *byte == 0) {
        return format!("\"{}\"", String::from_utf8_lossy(text));
    }
    if value < 1_000_000 { value.to_string() } else { format!("{value:#x}") }
}

/// 64 bits for JSON, whose numbers are only good for 53.
pub fn hex(value: u64) -> String {
    format!("{value:#x}")
}

/// The events of a poll (`poll(2)`).
pub fn poll_events(bits: u32) -> Vec<String> {
    bit_names(POLL_EVENTS, bits)
}

/// The flags of a message (`send(2)`, `recv(2)`).
pub fn message_flags(bits: u32) -> Vec<String> {
    bit_names(MSG_FLAGS, bits)
}

fn bit_names(table: &[(u32, &str)], bits: u32) -> Vec<String> {
    let mut rest = bits;
    let mut names = Vec::new();
    for (bit, name) in table {
        if bits & bit != 0 {
            names.push((*name).to_string());
            rest &= !bit;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    names
}

/// `poll(2)` and `epoll_ctl(2)`.
const POLL_EVENTS: &[(u32, &str)] = &[
    (0x001, "POLLIN"),
    (0x002, "POLLPRI"),
    (0x004, "POLLOUT"),
    (0x008, "POLLERR"),
    (0x010, "POLLHUP"),
    (0x020, "POLLNVAL"),
    (0x040, "POLLRDNORM"),
    (0x080, "POLLRDBAND"),
    (0x100, "POLLWRNORM"),
    (0x2000, "POLLRDHUP"),
    (1 << 28, "EPOLLEXCLUSIVE"),
    (1 << 30, "EPOLLONESHOT"),
    (1 << 31, "EPOLLET"),
];

/// `send(2)` and `recv(2)`.
const MSG_FLAGS: &[(u32, &str)] = &[
    (0x1, "MSG_OOB"),
    (0x2, "MSG_PEEK"),
    (0x4, "MSG_DONTROUTE"),
    (0x8, "MSG_CTRUNC"),
    (0x20, "MSG_TRUNC"),
    (0x40, "MSG_DONTWAIT"),
    (0x80, "MSG_EOR"),
    (0x100, "MSG_WAITALL"),
    (0x800, "MSG_CONFIRM"),
    (0x4000, "MSG_NOSIGNAL"),
    (0x8000, "MSG_MORE"),
    (0x4000_0000, "MSG_CMSG_CLOEXEC"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_data_as_what_it_looks_like() {
        assert_eq!(user_data(7), "7");
        assert_eq!(user_data(0x7fff_1234_5678), "0x7fff12345678");
        assert_eq!(user_data(u64::from_ne_bytes(*b"hello\0\0\0")), "\"hello\"");
    }

    #[test]
    fn unknown_numbers_stay_numbers() {
        assert_eq!(operation(200), "operation 200");
        assert_eq!(names(&catalog::ENTRY_FLAGS, 0x81), ["FIXED_FILE", "0x80"]);
        assert_eq!(error_name(11), "EAGAIN");
        assert_eq!(error_name(4000), "error 4000");
    }
}
