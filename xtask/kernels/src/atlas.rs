//! What a kernel showed of the atlas.

use std::collections::{BTreeMap, BTreeSet};

use ::atlas::Report;
use common::catalog::{OPERATIONS, REGISTER_OPERATIONS, SETUP_FLAGS};
use common::text::{WIDTH, wrap};
use serde::Deserialize;

use super::console::Ran;
use super::outcome::one_line;

/// An entry, as `cargo xtask atlas --json` prints it.
#[derive(Clone, Debug, Deserialize)]
pub struct Shown {
    /// What the entry says.
    #[serde(flatten)]
    pub report: Report,
    /// What of it the kernel's record holds.
    pub in_the_record: Vec<String>,
    /// What the record does not hold.
    pub not_in_the_record: Vec<String>,
}

/// Reads what the runner printed. If it broke off, that is an entry that failed.
pub fn read(ran: &Ran) -> Vec<Shown> {
    let lines = ran.stdout.lines().map(serde_json::from_str);
    let mut all: Vec<Shown> = lines.filter_map(Result::ok).collect();
    if all.is_empty() || ran.code.is_none_or(|code| code > 1) {
        let name = "the atlas".to_string();
        let failed = Some(one_line(&format!("{:?} {}", ran.code, ran.stderr)));
        let report = Report { name, failed, ..Report::default() };
        let nothing = Vec::new;
        all.push(Shown { report, in_the_record: nothing(), not_in_the_record: nothing() });
    }
    all
}

/// What is wrong with an entry.
pub fn problem(shown: &Shown) -> Option<String> {
    let name = &shown.report.name;
    if let Some(failed) = &shown.report.failed {
        return Some(format!("{name}: {failed}"));
    }
    let row = shown.not_in_the_record.first()?;
    Some(format!("{name}: the kernel's record lacks: {row}"))
}

/// How much was shown, and what was left out and why.
pub fn text(kernel: &str, all: &[Shown]) -> String {
    let held: BTreeSet<&str> =
        all.iter().flat_map(|shown| &shown.in_the_record).map(String::as_str).collect();
    let counts = [&OPERATIONS, &SETUP_FLAGS, &REGISTER_OPERATIONS].map(|table| {
        let shown = table.entries.iter().filter(|entry| held.contains(entry.name)).count();
        format!("{shown} of {} {}s", table.entries.len(), table.what)
    });
    let mut text = wrap(&format!("{kernel} shows {}", counts.join(", ")), WIDTH, 2) + "\n";
    let mut reasons: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
    for left_out in all.iter().flat_map(|shown| &shown.report.left_out) {
        reasons.entry(left_out.why.clone()).or_default().insert(&left_out.what);
    }
    for (why, names) in reasons {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        text += &(wrap(&format!("  left out: {names}: {why}"), WIDTH, 4) + "\n");
    }
    text
}
