//! Bytes and numbers for people.

pub use common::text::{several, thousands};

/// For more bytes only the size is printed.
const QUOTED: usize = 40;

/// Bytes quoted and escaped if they are few, otherwise only their number.
pub fn quote(bytes: &[u8]) -> String {
    if bytes.len() <= QUOTED {
        // A zero byte as Rust and C write it, and as the journal writes its answer.
        format!("\"{}\"", bytes.escape_ascii()).replace("\\x00", "\\0")
    } else {
        format!("{} bytes", thousands(bytes.len()))
    }
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
    fn long_text_is_cut() {
        assert_eq!((shorten("echo", 4), shorten("echoes", 4)), ("echo".into(), "ech…".into()));
    }
}
