//! What a check answers.

use common::text::several;

use super::cost::Measured;
use super::ids::{self, Id};

/// The program did what was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Passed {
    /// What the kernel saw, in a sentence, for the learner to be proud of.
    pub note: String,
    /// What it takes, if that was measured.
    pub measured: Option<Measured>,
}

impl Passed {
    /// With a sentence on what was seen.
    pub fn new(note: impl Into<String>) -> Passed {
        Passed { note: note.into(), measured: None }
    }

    /// With what was measured.
    #[must_use]
    pub fn measured(mut self, measured: Measured) -> Passed {
        self.measured = Some(measured);
        self
    }
}

/// Why an exercise is not passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Which way to fail it is.
    pub id: Id,
    /// What the client did, or how the program was run.
    pub client: String,
    /// What the kernel recorded: two or three lines of the trace that matter.
    pub kernel: Vec<String>,
    /// Which rule that breaks, and what to do, in one or two sentences.
    pub rule: String,
    /// Where the book explains it, as in `day3.html#re-arming`; the exercise's own place if
    /// there is none.
    pub book: Option<String>,
}

impl Failure {
    /// A failure that says no more than its id means; the other functions add to it.
    pub fn new(id: Id, client: impl Into<String>) -> Failure {
        Failure { id, client: client.into(), kernel: Vec::new(), rule: String::new(), book: None }
    }

    /// Neither passed nor failed: what cannot be seen here, and why.
    pub fn not_observed(why: impl Into<String>) -> Failure {
        Failure { rule: why.into(), ..Failure::new(ids::NOT_OBSERVED, "") }
    }

    /// Whether it says nothing about the program: the check itself could not run.
    pub fn is_not_observed(&self) -> bool {
        self.id == ids::NOT_OBSERVED
    }

    /// What the client did, in place of what was said before.
    #[must_use]
    pub fn client(mut self, did: impl Into<String>) -> Failure {
        self.client = did.into();
        self
    }

    /// The lines of the kernel's record that matter.
    #[must_use]
    pub fn kernel(mut self, lines: impl IntoIterator<Item = impl Into<String>>) -> Failure {
        self.kernel = lines.into_iter().map(Into::into).collect();
        self
    }

    /// The rule that was broken.
    #[must_use]
    pub fn rule(mut self, rule: impl Into<String>) -> Failure {
        self.rule = rule.into();
        self
    }

    /// Where the book explains it.
    #[must_use]
    pub fn book(mut self, place: impl Into<String>) -> Failure {
        self.book = Some(place.into());
        self
    }

    /// With no text longer than a reader wants: what a program printed may be.
    #[must_use]
    pub fn shortened(self) -> Failure {
        /// Characters. The longest rule of ours has half as many.
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

/// The first and the last characters of a text that has more than `longest`. What it quotes stands
/// in its middle, and what to do at its end.
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
