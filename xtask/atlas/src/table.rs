//! A line for each entry, and what is missing.

use std::collections::BTreeSet;

use common::catalog::{self, OPERATIONS, REGISTER_OPERATIONS, SETUP_FLAGS, Table};
use common::environment::kernel_release;
use common::text::{WIDTH, wrap};

use crate::shown::Shown;

impl Shown {
    /// The entry's page: each row, and where its operation ran.
    pub fn text(&self) -> String {
        let fact = self.report.shows.first().and_then(|name| catalog::find(name));
        let heading = fact.map_or(self.report.name.clone(), |fact| {
            format!("{} · since {} · {}", fact.name, fact.since, fact.meaning)
        });
        let mut lines = vec![heading];
        for (row, ran) in self.report.rows.iter().zip(&self.ran) {
            let ran = ran.map_or(String::new(), |place| format!(" [{}]", place.name()));
            lines.push(format!("{}{ran}", row.line()));
        }
        let left_out = self.report.left_out.iter();
        lines.extend(left_out.map(|left_out| format!("  left out: {left_out}")));
        lines.extend(self.problems().iter().map(|problem| format!("  FAILED: {problem}")));
        lines.iter().map(|line| wrap(line, WIDTH, 6) + "\n").collect()
    }

    /// One line of the overview: a sign, the name, since when, where it ran, what it is for.
    fn line(&self) -> String {
        let fact = self.report.shows.first().and_then(|name| catalog::find(name));
        let since = fact.map_or(String::new(), |fact| fact.since.to_string());
        let sign = match self.problems().is_empty() {
            false => "!",
            true if self.is_shown() => "✓",
            true if self.is_left_out() => "-",
            true => "~",
        };
        let places = self.places().join(", ");
        let meaning = fact.map_or("", |fact| fact.meaning);
        let line = format!("  {sign} {:<20} {since:<4}  {places:<15} {meaning}", self.report.name);
        wrap(line.trim_end(), WIDTH, 46)
    }
}

/// A line for each entry, by family; then what is wrong.
pub fn overview(all: &[Shown]) -> String {
    let mut text = format!("The atlas on Linux {}, by the kernel's record\n", kernel_release());
    let mut family = "";
    for shown in all {
        if shown.report.family != family {
            family = &shown.report.family;
            text += &format!("\n{}\n", family.replace('_', " "));
        }
        text += &(shown.line() + "\n");
    }
    text.push('\n');
    for table in [&OPERATIONS, &SETUP_FLAGS, &REGISTER_OPERATIONS] {
        text += &format!("{} shown\n", count(all, table));
    }
    text += "✓ shown, ~ seen by the entry alone, - left out with a reason (both: `--missing`),\n\
             ! wrong; then since when, and where it ran. `cargo xtask atlas NAME` prints what was\n\
             asked and answered.\n";
    for shown in all {
        for problem in shown.problems() {
            text += &(wrap(&format!("! {}: {problem}", shown.report.name), WIDTH, 4) + "\n");
        }
    }
    text
}

/// How many names of a table were shown: `62 of 65 operations`.
pub fn count(all: &[Shown], table: &Table) -> String {
    let shown: BTreeSet<&str> =
        all.iter().flat_map(|shown| &shown.in_the_record).map(String::as_str).collect();
    let known = table.entries.iter().filter(|entry| shown.contains(entry.name)).count();
    format!("{known} of {} {}s", table.entries.len(), table.what)
}

/// What this machine cannot show, why, and where it can be seen; what only the entries have seen,
/// and what no entry shows.
pub fn missing(all: &[Shown]) -> String {
    let line = |name: &str, text: &str| wrap(&format!("  {name:<20} {text}"), WIDTH, 23) + "\n";
    let mut text = String::new();
    let left_out = all.iter().flat_map(|shown| {
        let left_out = shown.report.left_out.iter();
        left_out.map(|left_out| line(&shown.report.name, &left_out.to_string()))
    });
    let left_out: String = left_out.collect();
    if !left_out.is_empty() {
        text += &format!("Left out on Linux {}:\n{left_out}", kernel_release());
    }
    let nameless = all.iter().filter(|shown| !shown.nameless().is_empty());
    let nameless: String =
        nameless.map(|shown| line(&shown.report.name, &shown.nameless().join(", "))).collect();
    if !nameless.is_empty() {
        text += "\nShown, but seen by the entry alone: the tracer's record does not name them. They\n\
                 are bits in a ring's memory, fields of structures, or go by another name there.\n";
        text += &nameless;
    }
    let named: BTreeSet<&str> =
        all.iter().flat_map(|shown| &shown.report.shows).map(String::as_str).collect();
    let names = catalog::TABLES.iter().flat_map(|table| table.entries).map(|entry| entry.name);
    let without: Vec<&str> = names.filter(|name| !named.contains(name)).collect();
    if !without.is_empty() {
        text += &(wrap(&format!("\nNo entry shows: {}", without.join(", ")), WIDTH, 2) + "\n");
    }
    match text.is_empty() {
        true => "Everything is shown on this machine.".to_string(),
        false => text.trim_start().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(shows: &[&str], in_the_record: &[&str], left_out: &str) -> Shown {
        let report = format!(
            r#"{{"name":"it","family":"it","shows":{shows:?},"rows":[],"left_out":{left_out}}}"#
        );
        let in_the_record = in_the_record.iter().map(|name| name.to_string()).collect();
        let report = serde_json::from_str(&report).expect("a report");
        Shown { report, ran: Vec::new(), in_the_record, not_in_the_record: Vec::new() }
    }

    #[test]
    fn what_was_left_out_is_not_taken_for_what_only_the_entry_saw() {
        let names = ["IORING_OP_READ", "IORING_CQE_F_MORE"];
        let lacks =
            r#"[{"what":"a disk","why":"this machine has no disk","where":"other_machine"}]"#;
        let confirmed = shown(&names, &names, "[]");
        let seen = shown(&names, &[], "[]");
        let left_out = shown(&names, &[], lacks);
        let signs = [&confirmed, &seen, &left_out].map(|it| it.line().trim_start().chars().next());
        assert_eq!(signs, [Some('✓'), Some('~'), Some('-')]);
        assert_eq!(seen.nameless(), names);
        assert!(left_out.nameless().is_empty());
        let text = missing(&[left_out]);
        assert!(text.contains("it                   a disk: this machine has no disk"), "{text}");
        assert!(!text.contains("seen by the entry alone"), "{text}");
    }
}
