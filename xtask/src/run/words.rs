//! Bytes and numbers for people.

/// Longer ones are told by their size.
const QUOTED: usize = 40;

/// Bytes quoted and escaped if they are few, otherwise only their number.
pub fn quote(bytes: &[u8]) -> String {
    if bytes.len() <= QUOTED {
        // As Rust and C write a zero byte, and the journal its answer.
        format!("\"{}\"", bytes.escape_ascii()).replace("\\x00", "\\0")
    } else {
        format!("{} bytes", thousands(bytes.len()))
    }
}

/// A number with a comma between each three digits.
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number of things: `1 request`, `4 requests`.
pub fn several(number: usize, thing: &str) -> String {
    format!("{} {thing}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// At most `len` characters of a text.
pub fn shorten(text: &str, len: usize) -> String {
    if text.chars().count() <= len {
        return text.to_string();
    }
    text.chars().take(len.saturating_sub(1)).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_bytes_are_quoted_and_many_counted() {
        assert_eq!(quote(b"ack\0"), r#""ack\0""#);
        assert_eq!(quote(b"\xff\n"), r#""\xff\n""#);
        assert_eq!(quote(&[b'x'; 5_000]), "5,000 bytes");
    }

    #[test]
    fn numbers_are_grouped() {
        let numbers = [0, 999, 1_000, 123_456, 1_000_000];
        assert_eq!(numbers.map(thousands), ["0", "999", "1,000", "123,456", "1,000,000"]);
        assert_eq!(
            (several(1, "request"), several(2, "request")),
            ("1 request".into(), "2 requests".into())
        );
    }

    #[test]
    fn long_text_is_cut() {
        assert_eq!((shorten("echo", 4), shorten("echoes", 4)), ("echo".into(), "ech…".into()));
    }
}
