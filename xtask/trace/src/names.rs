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

/// An operation's short name, `ACCEPT`; `operation 77` if the catalogue lacks it.
pub fn operation(opcode: u8) -> String {
    format!("{:#}", catalog::OPERATIONS.name(u32::from(opcode)))
}

/// Errors that the kernel uses internally, with their meaning (`include/linux/errno.h`). They
/// appear in a call that a signal interrupts, and in completions if a driver has a bug.
const INSIDE: &[(i32, &str, &str)] = &[
    (512, "ERESTARTSYS", "interrupted, to be called again"),
    (513, "ERESTARTNOINTR", "interrupted, to be called again"),
    (514, "ERESTARTNOHAND", "interrupted, to be called again unless the signal is handled"),
    (515, "ENOIOCTLCMD", "no such ioctl command"),
    (516, "ERESTART_RESTARTBLOCK", "interrupted, to be called again with the rest of its time"),
    (517, "EPROBE_DEFER", "driver asks to be tried later"),
    (518, "EOPENSTALE", "open found a stale entry"),
    (519, "ENOPARAM", "parameter not supported"),
    (521, "EBADHANDLE", "illegal NFS file handle"),
    (522, "ENOTSYNC", "update synchronization mismatch"),
    (523, "EBADCOOKIE", "cookie is stale"),
    (524, "ENOTSUPP", "operation is not supported"),
    (525, "ETOOSMALL", "buffer or request is too small"),
    (526, "ESERVERFAULT", "an untranslatable error occurred"),
    (527, "EBADTYPE", "type not supported by server"),
    (528, "EJUKEBOX", "request initiated, but will not complete before timeout"),
    (529, "EIOCBQUEUED", "queued, will get completion event"),
    (530, "ERECALLCONFLICT", "conflict with recalled state"),
    (531, "ENOGRACE", "NFS file lock reclaim refused"),
];

fn inside(number: i32) -> Option<&'static (i32, &'static str, &'static str)> {
    INSIDE.iter().find(|(known, ..)| *known == number)
}

/// An error's name as the headers spell it.
pub fn error_name(number: i32) -> String {
    if let Some((_, name, _)) = inside(number) {
        return (*name).to_string();
    }
    match nix::errno::Errno::from_raw(number) {
        nix::errno::Errno::UnknownErrno => format!("error {number}"),
        known => format!("{known:?}"),
    }
}

/// What an error means, as `strerror(3)` says it, in lower case.
pub fn error_words(number: i32) -> String {
    if let Some((.., words)) = inside(number) {
        return (*words).to_string();
    }
    // The standard library asks `strerror(3)`, and adds the number.
    let words = std::io::Error::from_raw_os_error(number).to_string();
    let words = words.rsplit_once(" (os error").map_or(words.as_str(), |(words, _)| words);
    let mut letters = words.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

/// Why a ring cannot be followed.
pub fn why_not_followed(error: &std::io::Error) -> String {
    match error.raw_os_error() {
        Some(libc::EPERM) => "the program may not be read: EPERM".to_string(),
        Some(number) => error_name(number),
        None => error.to_string(),
    }
}

/// A text from the program: as it is, or in quotes if a terminal would interpret part of it.
pub fn printable(text: &str) -> String {
    let quoted = format!("{text:?}");
    if quoted[1..quoted.len() - 1] == *text { text.to_string() } else { quoted }
}

/// A value of `user_data` that is not a token: a small number, text, or an address.
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

/// 64 bits for JSON, whose numbers are exact only up to 53 bits.
pub fn hex(value: u64) -> String {
    format!("{value:#x}")
}

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

    #[test]
    fn errors_are_named_as_the_c_library_does() {
        assert_eq!(error_words(libc::EBADF), "bad file descriptor");
        // On a file as well as on a socket.
        assert!(!error_words(libc::EOPNOTSUPP).contains("endpoint"));
        assert_eq!(error_name(512), "ERESTARTSYS");
        assert!(error_words(512).contains("interrupted"));
    }

    #[test]
    fn a_name_cannot_drive_the_terminal() {
        assert_eq!(printable("/bin/a program ü"), "/bin/a program ü");
        assert_eq!(printable("\x1b[2J"), r#""\u{1b}[2J""#);
        assert_eq!(printable("two\nlines"), r#""two\nlines""#);
    }
}
