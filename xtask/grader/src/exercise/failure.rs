//! The result of a check.

use common::text::several;

use super::cost::Measured;
use super::ids::{self, Id};

/// The program passes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// One sentence on what the program did, by the kernel's record.
    pub note: String,
    /// Its cost, if that was measured.
    pub measured: Option<Measured>,
}

impl Passed {
    /// A pass with a sentence on what the program did.
    pub fn new(note: impl Into<String>) -> Passed {
        Passed { note: note.into(), measured: None }
    }

    /// Adds the measured cost.
    #[must_use]
    pub fn measured(mut self, measured: Measured) -> Passed {
        self.measured = Some(measured);
        self
    }
}

/// Why a program does not pass.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of failure.
    pub id: Id,
    /// What the client did, or how the check ran the program.
    pub client: String,
    /// The relevant lines of the kernel's record, two or three.
    pub kernel: Vec<String>,
    /// The broken rule, and what to do, in one or two sentences.
    pub rule: String,
    /// Where the book explains it, as in `day3.html#re-arming`. If it is `None`, the exercise's own
    /// place.
    pub book: Option<String>,
}

impl Failure {
    /// A failure with only its id; the other functions add the rest.
    pub fn new(id: Id, client: impl Into<String>) -> Failure {
        Failure { id, client: client.into(), kernel: Vec::new(), rule: String::new(), book: None }
    }

    /// Neither passed nor failed. `why` says what cannot be observed on this machine.
    pub fn not_observed(why: impl Into<String>) -> Failure {
        Failure { rule: why.into(), ..Failure::new(ids::NOT_OBSERVED, "") }
    }

    /// Whether the check itself could not run, so that this is not about the program.
    pub fn is_not_observed(&self) -> bool {
        self.id == ids::NOT_OBSERVED
    }

    /// Replaces what the client did.
    #[must_use]
    pub fn client(mut self, did: impl Into<String>) -> Failure {
        self.client = did.into();
        self
    }

    /// Sets the relevant lines of the kernel's record.
    #[must_use]
    pub fn kernel(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Failure {
        self.kernel = lines.into_iter().map(Into::into).collect();
        self
    }

    /// Sets the broken rule.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Failure {
        self.rule = rule.into();
        self
    }

    /// Sets the place in the book.
    #[must_use]
    pub fn book(mut self, place: impl Into<String>) -> Failure {
        self.book = Some(place.into());
        self
    }

    /// Shortens long texts, which may quote a program's output.
    #[must_use]
    pub fn shortened(self) -> Failure {
        /// The limit in characters. Our longest rule has half as many.
        const LONGEST: usize = 1000;
        let short = |text: String| shortened(&text, LONGEST);
        Failure {
            client: short(self.client),
            kernel: self.kernel.into_iter().map(short).collect(),
            rule: short(self.rule),
            ..self
        }
    }
}

/// The beginning and the end of a text with more than `longest` characters. Quotes are in its
/// middle, and what to do is at its end.
pub fn shortened(text: &str, longest: usize) -> String {
    let count = text.chars().count();
    if count <= longest {
        return text.to_string();
    }
    let end = longest / 3;
    let begin: String = text.chars().take(longest - end).collect();
    let rest: String = text.chars().skip(count - end).collect();
    format!("{begin} … ({}) … {rest}", several(count - longest, "character"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_loses_its_middle() {
        assert_eq!(shortened("äöüabcxyz", 9), "äöüabcxyz");
        assert_eq!(shortened("äöüabc1xyz", 9), "äöüabc … (1 character) … xyz");
        let said = "said ".repeat(40_000);
        let rule = format!("It panicked: {said}. Do not.");
        let failure = Failure::new(ids::PANIC, said.clone()).kernel([said]).rule(rule);
        let short = failure.shortened();
        assert!(short.rule.starts_with("It panicked: said ") && short.rule.ends_with(". Do not."));
        for text in [&short.client, &short.kernel[0], &short.rule] {
            assert!(text.chars().count() < 1100, "{text}");
        }
    }
}
