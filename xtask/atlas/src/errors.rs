//! Every way in which the atlas gets an error, with the reason.

use std::collections::BTreeMap;

use atlas::Row;
use common::text::{WIDTH, wrap};

use crate::shown::Shown;

/// Where an error came from: the entry's name, and the row.
type From<'all> = (&'all str, &'all Row);

/// The ways to one error, or to each for `ALL`.
pub fn text(all: &[Shown], name: &str) -> String {
    let mut errors: BTreeMap<&str, Vec<From<'_>>> = BTreeMap::new();
    for shown in all {
        for row in &shown.report.rows {
            if let Some(errno) = &row.errno {
                errors.entry(errno).or_default().push((&shown.report.name, row));
            }
        }
    }
    if name == "ALL" {
        return errors.iter().map(|(errno, from)| one(errno, from)).collect::<Vec<_>>().join("\n");
    }
    match errors.get(name) {
        Some(from) => one(name, from),
        None => format!("No entry of the atlas gets {name} on this kernel."),
    }
}

fn one(errno: &str, from: &[From<'_>]) -> String {
    let lines = from.iter().map(|(entry, row)| {
        let why = row.why.as_ref().map_or(String::new(), |why| format!(": {why}"));
        wrap(&format!("  {entry:<20} {}{why}", row.asked), WIDTH, 23) + "\n"
    });
    format!("{errno}\n{}", lines.collect::<String>())
}
