//! Random values, drawn for each run, and `{NAME}`, which stands for them in texts.

use std::collections::BTreeMap;

use anyhow::{Result, ensure};
use serde::{Deserialize, Serialize};

use crate::exercise::attempt::Attempt;
use crate::exercise::checks::nops;

/// `{NAME.length}` is the number of bytes of a value.
const LENGTH: &str = ".length";

/// How to draw a value.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// A number from the first to the second.
    Number([u64; 2]),
    /// A list of this many different numbers of six digits.
    Tags(usize),
    /// A word of lower-case letters; its length is between the two numbers.
    Word([usize; 2]),
    /// Words with single spaces and some non-ASCII letters, without a newline; the length in bytes.
    Text([usize; 2]),
}

impl Draw {
    /// Fails if no value can be drawn.
    pub fn validate(&self) -> Result<()> {
        /// The limit on the length of an argument (`MAX_ARG_STRLEN`).
        const LONGEST: usize = 100_000;
        match self {
            Draw::Number([from, to]) => ensure!(from <= to, "[{from}, {to}] holds no number"),
            Draw::Tags(count) => ensure!((1..=1000).contains(count), "1 to 1000 tags can be drawn"),
            Draw::Word([from, to]) | Draw::Text([from, to]) => {
                ensure!(0 < *from && from <= to, "[{from}, {to}] holds no length");
                ensure!(*to <= LONGEST, "{to} is too long; at most {LONGEST}");
            }
        }
        Ok(())
    }

    fn draw(&self, attempt: &Attempt) -> Vec<String> {
        let length = |from: usize, to: usize| attempt.number(from as u64..=to as u64) as usize;
        match *self {
            Draw::Number([from, to]) => vec![attempt.number(from..=to).to_string()],
            Draw::Tags(count) => {
                let mut tags = Vec::new();
                while tags.len() < count {
                    let tag = nops::tag(attempt).to_string();
                    if !tags.contains(&tag) {
                        tags.push(tag);
                    }
                }
                tags
            }
            Draw::Word([from, to]) => vec![attempt.word(length(from, to))],
            Draw::Text([from, to]) => vec![attempt.text(length(from, to))],
        }
    }
}

/// The values of a run, by name. A single value is a list of length 1.
#[derive(Clone, Debug, Default)]
pub struct Values(BTreeMap<String, Vec<String>>);

impl Values {
    /// Draws the values.
    pub fn draw(draws: &BTreeMap<String, Draw>, attempt: &Attempt) -> Values {
        let drawn = draws.iter().map(|(name, draw)| (name.clone(), draw.draw(attempt)));
        Values(drawn.collect())
    }

    /// Adds a value.
    pub fn set(&mut self, name: &str, value: String) {
        self.0.insert(name.to_string(), vec![value]);
    }

    /// Adds the values of another run. A value replaces an old one with the same name.
    pub fn extend(&mut self, other: Values) {
        self.0.extend(other.0);
    }

    /// A text with the values in place of their names. The values of a list are separated by
    /// spaces.
    pub fn fill(&self, text: &str) -> String {
        let mut filled = String::new();
        for part in parts(text) {
            match part {
                Part::Words(words) => filled.push_str(words),
                Part::Name(name) => filled.push_str(&self.value(name).join(" ")),
            }
        }
        filled
    }

    /// The values of a list, if the text is only its name. Otherwise the filled text.
    pub fn expand(&self, text: &str) -> Vec<String> {
        match parts(text).as_slice() {
            [Part::Name(name)] => self.value(name),
            _ => vec![self.fill(text)],
        }
    }

    fn value(&self, name: &str) -> Vec<String> {
        let values = |name: &str| self.0.get(name).cloned().unwrap_or_default();
        match name.strip_suffix(LENGTH) {
            Some(name) => vec![values(name).join(" ").len().to_string()],
            None => values(name),
        }
    }
}

/// A name without `.length`.
pub fn plain(name: &str) -> &str {
    name.strip_suffix(LENGTH).unwrap_or(name)
}

/// The names in a text.
pub fn names(text: &str) -> Vec<&str> {
    let name = |part| match part {
        Part::Name(name) => Some(name),
        Part::Words(_) => None,
    };
    parts(text).into_iter().filter_map(name).collect()
}

enum Part<'a> {
    Words(&'a str),
    Name(&'a str),
}

/// The parts of a text. `{{` is a brace, and so is a brace that is not closed.
fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut rest) = (Vec::new(), text);
    while let Some(at) = rest.find('{') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        if let Some(after) = after.strip_prefix('{') {
            parts.push(Part::Words(&rest[..=at]));
            rest = after;
            continue;
        }
        let Some(end) = after.find('}') else { break };
        if !before.is_empty() {
            parts.push(Part::Words(before));
        }
        parts.push(Part::Name(&after[..end]));
        rest = &after[end + 1..];
    }
    if !rest.is_empty() {
        parts.push(Part::Words(rest));
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values() -> Values {
        let list = ["1", "2"].map(str::to_string).to_vec();
        let mut values = Values(BTreeMap::from([("tags".to_string(), list)]));
        values.set("text", "grün".to_string());
        values
    }

    #[test]
    fn names_stand_for_their_values() {
        assert_eq!(values().fill("<{text}>, {tags}; {text.length} bytes"), "<grün>, 1 2; 5 bytes");
        assert_eq!(values().fill("fn main() {{}} {text"), "fn main() {}} {text");
        assert_eq!(names("{a} and {b.length}, not {{c}"), ["a", "b.length"]);
    }

    #[test]
    fn a_list_by_itself_is_its_values() {
        assert_eq!(values().expand("{tags}"), ["1", "2"]);
        assert_eq!(values().expand("of {tags}"), ["of 1 2"]);
        assert_eq!(values().expand("{text}"), ["grün"]);
    }

    #[test]
    fn what_is_drawn_is_as_long_as_asked() {
        let attempt = Attempt::new("nobody", "/nowhere", "/nowhere");
        for _ in 0..50 {
            let text = &Draw::Text([9, 12]).draw(&attempt)[0];
            assert!((9..=12).contains(&text.len()), "{text}");
            assert!(!text.is_ascii() && text.trim() == text, "{text}");
            assert!((3..=4).contains(&Draw::Word([3, 4]).draw(&attempt)[0].len()));
            assert!(["5", "6"].contains(&Draw::Number([5, 6]).draw(&attempt)[0].as_str()));
        }
        assert_eq!(Draw::Tags(8).draw(&attempt).len(), 8);
        assert!(Draw::Number([6, 5]).validate().is_err());
        assert!(Draw::Text([0, 5]).validate().is_err());
    }
}
