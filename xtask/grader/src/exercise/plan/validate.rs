//! Validates a plan: its names must be known, and its expectations observable.

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::draw::{self, Draw};
use super::names::known_error;
use super::{Detail, PlannedRun};

impl PlannedRun {
    /// Fails if the plan uses a value in a way that cannot work.
    ///
    /// # Errors
    /// The mistake, with its line in `text`.
    pub fn validate(&self, text: &str) -> Result<()> {
        ensure!(self.times > 0, "`times = 0` checks nothing");
        for (name, draw) in &self.draw {
            draw.validate().with_context(|| at(text, &format!("{name} =")))?;
            ensure!(!self.files.contains_key(name), "a value and a file are both called {name}");
        }
        for name in self.draw.keys().chain(self.files.keys()) {
            let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
            ensure!(
                name.chars().all(plain),
                "{}: a name has letters, digits and `_` only: {name}",
                at(text, name)
            );
        }
        for words in self.texts() {
            self.names_are_known(words, text)?;
        }
        for entries in &self.entries {
            let both = entries.count.is_some()
                && (entries.at_least.is_some() || entries.at_most.is_some());
            ensure!(
                !both,
                "{} entries: `count` is exact; write it, or `at_least` and `at_most`",
                entries.op
            );
            if let Some(Detail::Text(words)) = &entries.result {
                if draw::names(words).is_empty() && words.parse::<i64>().is_err() {
                    let line = at(text, &format!("\"{words}\""));
                    known_error(words).map_err(|why| anyhow!("{line}: `result`: {why}"))?;
                }
            }
            let user_data = entries.user_data.as_deref().unwrap_or_default();
            for name in draw::names(user_data) {
                let is_number =
                    matches!(self.draw.get(name), Some(Draw::Number(_) | Draw::Tags(_)));
                ensure!(
                    is_number,
                    "{}: `user_data` is a number; {name} is not",
                    at(text, &format!("user_data = \"{user_data}\""))
                );
            }
        }
        let Some(output) = &self.output else { return Ok(()) };
        ensure!(
            self.stdout.is_none(),
            "`stdout` sends the output to a file, so `output` cannot be compared"
        );
        let ways =
            [output.exactly.is_some(), !output.lines.is_empty(), !output.contains.is_empty()];
        ensure!(
            ways.contains(&true),
            "`output` has no expectation: write `exactly`, `lines` or `contains`"
        );
        if output.through_ring && output.exactly.is_none() {
            bail!("`through_ring` needs `exactly`, because it counts the bytes that entries wrote");
        }
        Ok(())
    }

    /// Every text that may contain a name.
    fn texts(&self) -> Vec<&str> {
        let mut texts: Vec<&str> = self.args.iter().map(String::as_str).collect();
        texts.push(&self.stdin);
        texts.extend(self.exit.otherwise.as_deref());
        for file in self.files.values() {
            texts.extend(
                [&file.before, &file.after, &file.otherwise]
                    .into_iter()
                    .flatten()
                    .map(String::as_str),
            );
        }
        for entries in &self.entries {
            texts.extend(entries.user_data.as_deref());
            texts.extend(entries.otherwise.as_deref());
            for detail in entries.details.values().chain(&entries.result) {
                if let Detail::Text(words) = detail {
                    texts.push(words);
                }
            }
        }
        if let Some(enters) = &self.enters {
            texts.extend(enters.otherwise.as_deref());
        }
        if let Some(output) = &self.output {
            texts.extend(output.exactly.as_deref());
            texts.extend(output.lines.iter().chain(&output.contains).map(String::as_str));
            texts.extend(output.otherwise.as_deref());
        }
        texts
    }

    /// Whether `{NAME}` or `{NAME.length}` stands for something in this run.
    pub fn knows(&self, name: &str) -> bool {
        let plain = draw::plain(name);
        self.draw.contains_key(plain) || self.files.contains_key(plain)
    }

    fn names_are_known(&self, words: &str, text: &str) -> Result<()> {
        let unknown = draw::names(words).into_iter().find(|name| !self.knows(name));
        let Some(name) = unknown else { return Ok(()) };
        let there: Vec<&str> =
            self.draw.keys().chain(self.files.keys()).map(String::as_str).collect();
        let there = match there.as_slice() {
            [] => "this run draws no value".to_string(),
            there => format!("this run has {}", there.join(", ")),
        };
        bail!(
            "{}: there is no value or file called {name}; {there}. Draw a value, as in `draw.{} = \
             {{ number = [1, 9] }}`, or write {{{{ for a brace.",
            at(text, &format!("{{{name}}}")),
            draw::plain(name)
        )
    }
}

/// `line 7`, for the first line with these words.
fn at(text: &str, words: &str) -> String {
    match text.lines().position(|line| line.contains(words)) {
        Some(line) => format!("line {}", line + 1),
        None => words.to_string(),
    }
}
