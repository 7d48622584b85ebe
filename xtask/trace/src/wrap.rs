//! Lines that fit the terminal.

use common::text;

/// A text that [`folded`] keeps in one piece.
pub fn unbroken(text: &str) -> String {
    text.replace(' ', NO_BREAK)
}

const NO_BREAK: &str = "\u{a0}";

/// Breaks a line at spaces, and indents what follows by `hang`.
pub fn folded(line: &str, width: usize, hang: usize) -> String {
    text::wrap(line, width, hang).replace(NO_BREAK, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_belongs_together_stays() {
        let line = format!("one two {}", unbroken("[a b]"));
        assert_eq!(folded(&line, 10, 2), "one two\n  [a b]");
    }
}
