//! Phrases that a reader has to read twice, and what to write in their place.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use toolbox::output::say;

/// A phrase, and what to do about it.
const PHRASES: &[(&str, &str)] = &[
    ("is none", "say what it is instead"),
    ("are none", "say what they are instead"),
    ("none that", "say what is missing"),
    ("is told", "say who tells what: `the page says …`"),
    ("are told", "say who tells what: `the clients get …`"),
    ("was told", "say who told what"),
    ("told of", "say who knows it, or write `gets`"),
    ("was to", "say what the program must do, in the imperative"),
    ("were to", "say what the program must do, in the imperative"),
    ("be it", "write `if it is … or …`"),
    ("sees to", "say what it does"),
    ("came of", "write `the result of`"),
    ("thrown out", "say what happens: discarded, disconnected"),
    ("has its say", "say what it decides"),
    ("anew", "write `again`"),
    ("whoever", "name the program, the client or the caller"),
    ("can be had", "write `is available`, or `is possible`"),
    ("for who", "write `for readers who …`"),
];

/// "there is none" and "where there are none" are plain English.
const PLAIN: &[&str] = &["there is none", "there are none"];

/// Names every line of these files with such a phrase. Returns whether all are right.
pub fn check(workspace: &Path, files: &[String]) -> Result<bool> {
    let mut right = true;
    for file in files {
        // The phrases themselves.
        if file == "xtask/check/src/words.rs" {
            continue;
        }
        let text = fs::read(workspace.join(file)).with_context(|| format!("reading {file}"))?;
        for (line, phrase, remedy) in found(&String::from_utf8_lossy(&text)) {
            say(&format!("{file}:{line}: \"{phrase}\": {remedy}"))?;
            right = false;
        }
    }
    Ok(right)
}

/// The phrases in a text, with the number of their lines, from 1.
fn found(text: &str) -> Vec<(usize, &'static str, &'static str)> {
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let mut line = line.to_lowercase();
        for plain in PLAIN {
            line = line.replace(plain, "");
        }
        for (phrase, remedy) in PHRASES {
            if whole_words(&line, phrase) {
                found.push((index + 1, *phrase, *remedy));
            }
        }
    }
    found
}

/// Whether the phrase stands in the line, and not within longer words.
fn whole_words(line: &str, phrase: &str) -> bool {
    let letter = |c: char| c.is_alphanumeric() || c == '_';
    line.match_indices(phrase).any(|(at, _)| {
        !line[..at].ends_with(letter) && !line[at + phrase.len()..].starts_with(letter)
    })
}

#[cfg(test)]
mod tests {
    use super::found;

    #[test]
    fn a_phrase_is_found_in_whole_words_only() {
        let text = "The reader is told.\nA fortold is tolded; anewt\nIf there is none, go on.\n";
        assert_eq!(found(text).iter().map(|(line, ..)| *line).collect::<Vec<_>>(), [1]);
        assert_eq!(found("Whoever asks\n")[0].1, "whoever");
    }
}
