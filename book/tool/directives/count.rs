//! `{{#count TRACE what}}`: a number from a recording.

use super::sources::{Sources, in_file, read};
use crate::problem::Complaint;
use crate::recording::Recording;

/// `{{#count TRACE what}}`.
pub fn directive(sources: &Sources<'_>, arguments: &str) -> Result<String, Complaint> {
    let (name, what) = arguments.split_once(char::is_whitespace).ok_or_else(|| {
        Complaint::new(
            format!("`{{{{#count {arguments}}}}}` is not complete"),
            "write {{#count TRACE enters}}, or entries, completions, ACCEPT, completions:ACCEPT",
        )
    })?;
    let (file, json) = read(sources, "traces", name, "json")?;
    let trace = Recording::parse(name, &json).map_err(|wrong| in_file(wrong, &file))?;
    Ok(trace.count(what.trim())?.to_string())
}
