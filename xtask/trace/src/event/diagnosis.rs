//! A fault of the program.

use serde::Serialize;

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Diagnosis {
    /// Which kind of fault, `dead-wait` for example.
    pub kind: &'static str,
    /// The ring, if it is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ring: Option<u32>,
    /// How often it was found.
    pub times: u64,
    /// What was seen, the first time: entries by their numbers, times, sizes.
    pub seen: String,
    /// What it means, and what to do.
    pub means: String,
    /// Where the book explains it: page and section.
    pub book: &'static str,
    /// It is concluded from what was seen, and could be otherwise.
    pub concluded: bool,
    /// When it was found, in microseconds since the trace began.
    pub found_us: u64,
}

impl Diagnosis {
    /// What it means, marked if it is a conclusion.
    pub fn advice(&self) -> String {
        let mark = if self.concluded { "(a conclusion) " } else { "" };
        format!("{mark}{}", self.means)
    }
}
