//! A text on a terminal: its colours, and nothing that moves the cursor.

use std::io::IsTerminal;

/// Whether to use colours, and their codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// Whether there are any.
    pub colour: bool,
}

impl Paint {
    /// With colours on a terminal, unless `NO_COLOR` is set.
    pub fn for_stdout() -> Paint {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Paint { colour: std::io::stdout().is_terminal() && !plain && !dumb }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Green.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Red.
    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    /// Yellow.
    pub fn doubt(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Bold.
    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Faint.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}

/// Makes a text safe for a terminal: writes control characters other than newlines as escapes.
/// Colours are kept or removed.
pub fn printable(text: &str, colours: bool) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (token, after) = rest.split_at(colour(rest).unwrap_or(letter.len_utf8()));
        rest = after;
        match letter {
            '\x1b' if token.len() > 1 && colours => plain.push_str(token),
            '\x1b' if token.len() > 1 => {}
            '\n' | '\t' => plain.push(letter),
            letter if letter.is_control() => plain.extend(letter.escape_default()),
            letter => plain.push(letter),
        }
    }
    plain
}

/// The length of the colour code at the beginning of a text: `ESC [`, digits and semicolons, `m`.
fn colour(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\x1b[")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    rest[end..].starts_with('m').then_some(2 + end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_cannot_move_the_cursor() {
        let text = "\x1b[31mred\x1b[0m \x1b[2Jgone \x1b]0;title\x07\r\u{9b}2J\nnext";
        let plain = r"red \u{1b}[2Jgone \u{1b}]0;title\u{7}\r\u{9b}2J".to_string() + "\nnext";
        assert_eq!(printable(text, false), plain);
        assert_eq!(printable(text, true), plain.replace("red", "\x1b[31mred\x1b[0m"));
    }
}
