//! Lines that fit the terminal.

/// A text that [`folded`] keeps in one piece.
pub fn unbroken(text: &str) -> String {
    text.replace(' ', NO_BREAK)
}

const NO_BREAK: &str = "\u{a0}";

/// Breaks a line at spaces, and indents what follows by `hang`. Colours take no room.
pub fn folded(line: &str, width: usize, hang: usize) -> String {
    let visible = |text: &str| {
        let mut escaped = false;
        let mut count = 0;
        for letter in text.chars() {
            match letter {
                '\x1b' => escaped = true,
                'm' if escaped => escaped = false,
                _ if escaped => {}
                _ => count += 1,
            }
        }
        count
    };
    if visible(line) <= width {
        return line.replace(NO_BREAK, " ");
    }
    let mut folded = String::new();
    let mut at = 0;
    // Flags, when there are many, are broken between two.
    let too_long = |word: &str| visible(word.trim_end()) > width.saturating_sub(hang);
    let pieces = line.split_inclusive(' ').flat_map(|word| match too_long(word) {
        true => word.split_inclusive(&[' ', '|'][..]),
        false => word.split_inclusive(&[' '][..]),
    });
    for word in pieces {
        let length = visible(word);
        if at > hang && at + visible(word.trim_end()) > width {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(&" ".repeat(hang));
            at = hang;
        }
        folded.push_str(word);
        at += length;
    }
    folded.replace(NO_BREAK, " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_broken_at_spaces_and_indented() {
        assert_eq!(folded("one two three", 20, 2), "one two three");
        assert_eq!(folded("one two three four", 9, 2), "one two\n  three\n  four");
    }

    #[test]
    fn only_flags_that_fit_no_line_are_broken() {
        assert_eq!(folded("one A|B|C two", 9, 2), "one A|B|C\n  two");
        assert_eq!(folded("one A|B|C", 8, 2), "one\n  A|B|C");
        assert_eq!(folded("one ABC|DEF|GHI", 9, 2), "one ABC|\n  DEF|GHI");
    }

    #[test]
    fn colours_take_no_room_and_what_belongs_together_stays() {
        assert_eq!(folded("\x1b[31mone\x1b[0m two", 7, 2), "\x1b[31mone\x1b[0m two");
        let line = format!("one two {}", unbroken("[a b]"));
        assert_eq!(folded(&line, 10, 2), "one two\n  [a b]");
    }
}
