//! Recordings: `book/traces/NAME.json`, which the ring player shows.

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::problem::Complaint;

/// The fields of a recording that the book itself needs. The player reads the rest.
#[derive(Debug, Deserialize)]
pub struct Recording {
    /// The counts: `enters`, `entries`, `completions`, `ACCEPT`, `completions:ACCEPT`.
    pub counts: Map<String, Value>,
}

impl Recording {
    /// Reads a recording.
    pub fn parse(name: &str, json: &str) -> Result<Self, Complaint> {
        serde_json::from_str(json)
            .map_err(|wrong| Complaint::new(format!("it is not a recording: {wrong}"), again(name)))
    }

    /// One of the counts. An operation that the catalogue knows and the trace lacks is zero.
    pub fn count(&self, what: &str) -> Result<u64, Complaint> {
        if let Some(number) = self.counts.get(what).and_then(Value::as_u64) {
            return Ok(number);
        }
        let operation = what.strip_prefix("completions:").unwrap_or(what);
        if common::catalog::OPERATIONS.entries.iter().any(|entry| entry.short == operation) {
            return Ok(0);
        }
        let known: Vec<&str> = self.counts.keys().map(String::as_str).collect();
        Err(Complaint::new(
            format!("the recording does not count `{what}`"),
            format!("it counts: {}", known.join(", ")),
        ))
    }
}

/// The command that makes the recording again.
fn again(name: &str) -> String {
    format!("cargo xtask record {name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOP: &str = r#"{"name":"nop","title":"A <NOP>","program":"day01","command":"cargo run -p day01",
"steps":[],"counts":{"enters":1,"NOP":1,"completions:NOP":1}}"#;

    #[test]
    fn counts_are_looked_up() {
        let trace = Recording::parse("nop", NOP).unwrap();
        assert_eq!(trace.count("enters").unwrap(), 1);
        assert_eq!(trace.count("completions:NOP").unwrap(), 1);
        assert_eq!(trace.count("ACCEPT").unwrap(), 0);
        let wrong = trace.count("acepts").unwrap_err();
        assert_eq!(wrong.remedy, "it counts: NOP, completions:NOP, enters");
    }
}
