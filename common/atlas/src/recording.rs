//! A recording of the atlas, which the book shows: lines of JSON, the first about where it was
//! made, then one for each entry. A `⟨word⟩` stands for what differs from run to run.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::report::Kind;
use crate::{Report, Row};

/// A run of the atlas.
#[derive(Clone, Debug)]
pub struct Recording {
    /// Where it was made.
    pub made: Made,
    /// Its entries, in the order of the atlas.
    pub entries: Vec<Recorded>,
}

/// Where a recording was made: elsewhere, entries may give other answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The kernel's release, such as `6.18`.
    pub linux: String,
    /// Whether root made it.
    pub root: bool,
}

/// An entry in a recording.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Recorded {
    /// What the entry said.
    #[serde(flatten)]
    pub report: Report,
    /// Where each row's operation ran, by the tracer.
    pub ran: Vec<Option<String>>,
    /// Where the operation that gives the entry its name ran.
    pub places: Vec<String>,
    /// The names of [`Report::shows`] that the kernel's record holds.
    pub in_the_record: Vec<String>,
}

/// The operations that return a descriptor.
const OPENING: [&str; 5] = [
    "IORING_OP_OPENAT",
    "IORING_OP_OPENAT2",
    "IORING_OP_SOCKET",
    "IORING_OP_ACCEPT",
    "IORING_OP_FIXED_FD_INSTALL",
];

impl Recording {
    /// Reads a recording.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn parse(text: &str) -> Result<Recording> {
        let mut lines = text.lines();
        let first = lines.next().context("it is empty")?;
        let made = serde_json::from_str(first).context("line 1 does not say where it was made")?;
        let entry = |(line, text)| {
            serde_json::from_str(text).with_context(|| format!("line {line} is no entry"))
        };
        let entries = (2..).zip(lines).map(entry).collect::<Result<_>>()?;
        Ok(Recording { made, entries })
    }

    /// The entry of a family with this name.
    pub fn entry(&self, family: &str, name: &str) -> Option<&Recorded> {
        self.entries.iter().find(|it| it.report.family == family && it.report.name == name)
    }
}

impl Recorded {
    /// An entry's report, without what differs in a second run.
    ///
    /// # Errors
    /// If the runs do not ask the same number of things.
    pub fn of_two(first: &Report, second: &Report) -> Result<Recorded> {
        let (one, two) = (first.rows.len(), second.rows.len());
        anyhow::ensure!(one == two, "{} asked {one} things, and then {two}", first.name);
        let rows = first.rows.iter().zip(&second.rows).map(|(row, again)| {
            let operation = row.entry.as_ref().map_or("", |entry| &entry.operation);
            Row {
                asked: without_differences(&row.asked, &again.asked, operation),
                answered: without_differences(&row.answered, &again.answered, operation),
                result: None,
                entry: None,
                ..row.clone()
            }
        });
        let report = Report { rows: rows.collect(), ..first.clone() };
        Ok(Recorded { report, ..Recorded::default() })
    }

    /// The first row in which a new run differs: as recorded, and now. Numbers, the values of
    /// notes, and the places where operations ran may differ.
    pub fn difference(&self, fresh: &Recorded) -> Option<(String, String)> {
        let line = |row: &Row| match row.kind {
            Kind::Note => format!("  {}", row.asked),
            _ => row.line(),
        };
        let (recorded, now) = (&self.report.rows, &fresh.report.rows);
        let nth = |rows: &[Row], at| rows.get(at).map_or(String::new(), line);
        (0..recorded.len().max(now.len()))
            .map(|at| (nth(recorded, at), nth(now, at)))
            .find(|(recorded, now)| !means(recorded, now))
    }
}

/// `text` with a placeholder for each word that differs in `again`.
fn without_differences(text: &str, again: &str, operation: &str) -> String {
    let (words, others): (Vec<_>, Vec<_>) = (text.split(' ').collect(), again.split(' ').collect());
    if words.len() != others.len() {
        return "⟨varies⟩".to_string();
    }
    let number = |word: &str| word.trim_matches(['[', ',', ']']).parse::<i64>().is_ok();
    let pair = |(word, other): (&str, &str)| match word == other {
        true => word.to_string(),
        false => {
            let placeholder = match number(word) && number(other) {
                true if OPENING.contains(&operation) => "⟨descriptor⟩",
                true => "⟨number⟩",
                false => "⟨varies⟩",
            };
            let tail = &word[word.trim_end_matches([',', ']']).len()..];
            format!("{placeholder}{tail}")
        }
    };
    words.into_iter().zip(others).map(pair).collect::<Vec<_>>().join(" ")
}

/// Whether two lines are equal apart from their numbers.
fn means(recorded: &str, now: &str) -> bool {
    let pieces = |text: &str| -> Vec<String> {
        text.split(' ').map(|word| word.chars().filter(|c| !c.is_ascii_digit()).collect()).collect()
    };
    let (recorded, now) = (pieces(recorded), pieces(now));
    let same = |(a, b): (&String, &String)| a == b || [a, b].iter().any(|it| it.contains('⟨'));
    recorded.len() == now.len() && recorded.iter().zip(&now).all(same)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_from_run_to_run_is_replaced() {
        let pair = |first, second| without_differences(first, second, "IORING_OP_ACCEPT");
        assert_eq!(
            pair("7, IORING_CQE_F_MORE", "14, IORING_CQE_F_MORE"),
            "⟨descriptor⟩, IORING_CQE_F_MORE"
        );
        assert_eq!(pair("EINVAL", "EINVAL"), "EINVAL");
        assert_eq!(pair("none", "some"), "⟨varies⟩");
        assert_eq!(pair("in one", "in two words"), "⟨varies⟩");
        assert_eq!(without_differences("[4, 7]", "[4, 9]", ""), "[4, ⟨number⟩]");
    }

    #[test]
    fn a_fresh_run_may_have_other_numbers_and_no_other_words() {
        assert!(means("  SIOCOUTQ → 3877888", "  SIOCOUTQ → 12"));
        assert!(means("  ACCEPT → ⟨descriptor⟩, MORE", "  ACCEPT → 9, MORE"));
        assert!(!means("  FSYNC → EINVAL: a pipe", "  FSYNC → EBADF: a pipe"));
        assert!(!means("  FSYNC → 0", "  FSYNC → EINTR"));
        assert!(!means("  FSYNC → 0", ""));
    }
}
