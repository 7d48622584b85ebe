//! Lines that fit a terminal, and numbers for people.

use std::borrow::Cow;
use std::fmt::Display;

/// The columns that every day's output fits into.
pub const WIDTH: usize = 80;

/// Breaks long lines at spaces to fit `width` columns, and indents what follows a break.
///
/// Text in backquotes is meant to be typed, so it stays in one piece. A word longer than the
/// line gets its own line; flags, `A|B|C`, are broken behind a bar. Colours take no room.
pub fn wrap(text: &str, width: usize, indent: usize) -> String {
    text.lines().map(|line| wrap_line(line, width, indent)).collect::<Vec<_>>().join("\n")
}

fn wrap_line(line: &str, width: usize, indent: usize) -> String {
    let text = line.trim_start();
    let mut wrapped = line[..line.len() - text.len()].to_string();
    let mut column = wrapped.len();
    for (nth, word) in words(text).enumerate() {
        let too_long = visible(word) > width.saturating_sub(indent);
        let bars: &[char] = if too_long { &['|'] } else { &[] };
        for (part, piece) in
            word.split_inclusive(bars).chain(word.is_empty().then_some("")).enumerate()
        {
            let (length, space) = (visible(piece), usize::from(part == 0));
            if (nth, part) == (0, 0) {
                column += length;
            } else if column + space + length <= width {
                wrapped.push_str(&" "[..space]);
                column += space + length;
            } else {
                wrapped.truncate(wrapped.trim_end().len());
                wrapped.push('\n');
                wrapped.push_str(&" ".repeat(indent));
                column = indent + length;
            }
            wrapped.push_str(piece);
        }
    }
    wrapped
}

/// The columns that a text takes on a terminal: colours (`ESC [ … m`) take none.
fn visible(text: &str) -> usize {
    let mut escaped = false;
    let takes = |letter: &char| {
        let colour = escaped || *letter == '\x1b';
        escaped = colour && *letter != 'm';
        !colour
    };
    text.chars().filter(takes).count()
}

/// What stands between spaces, or between backquotes.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    text.split(move |c| {
        quoted ^= c == '`';
        c == ' ' && !quoted
    })
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

/// A number of things, its digits grouped: `1 request`, `4,000 requests`, `2 entries`.
pub fn several(number: usize, thing: &str) -> String {
    format!("{} {}", thousands(number), name(number == 1, thing))
}

/// A number of things with its digits as a program reads them: `1 byte`, `4096 bytes`.
pub fn plural<N: From<u8> + PartialEq + Display>(number: N, thing: &str) -> String {
    format!("{number} {}", name(number == N::from(1), thing))
}

fn name(one: bool, thing: &str) -> Cow<'_, str> {
    match thing.strip_suffix('y') {
        _ if one => thing.into(),
        Some(stem) => format!("{stem}ies").into(),
        None => format!("{thing}s").into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lines_break_at_spaces_and_are_indented() {
        let text = "day03: cannot listen\n  why: another program has the port";
        assert_eq!(
            wrap(text, 22, 7),
            "day03: cannot listen\n  why: another program\n       has the port"
        );
        assert_eq!(wrap(text, 80, 7), text);
    }

    #[test]
    fn colours_take_no_room_and_flags_are_broken_at_bars() {
        assert_eq!(wrap("\x1b[31mone\x1b[0m two", 7, 2), "\x1b[31mone\x1b[0m two");
        assert_eq!(wrap("one A|B|C two", 9, 2), "one A|B|C\n  two");
        assert_eq!(wrap("one ABC|DEF|GHI", 9, 2), "one ABC|\n  DEF|GHI");
    }

    #[test]
    fn what_is_to_be_typed_stays_in_one_piece() {
        assert_eq!(wrap("try `ulimit -n 4096` in it", 12, 2), "try\n  `ulimit -n 4096`\n  in it");
    }

    #[test]
    fn numbers_are_grouped() {
        let numbers = [0, 999, 1_000, 123_456, 1_000_000];
        assert_eq!(numbers.map(thousands), ["0", "999", "1,000", "123,456", "1,000,000"]);
        assert_eq!(
            (several(1, "request"), several(2, "request")),
            ("1 request".into(), "2 requests".into())
        );
        assert_eq!(several(4_096, "entry"), "4,096 entries");
        assert_eq!([1, 4_096].map(|bytes| plural(bytes, "byte")), ["1 byte", "4096 bytes"]);
    }
}
