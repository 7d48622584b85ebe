//! All entries at a glance, and what is missing.

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
        let sign = match (self.problems().is_empty(), self.is_shown()) {
            (false, _) => "!",
            (true, true) => "✓",
            (true, false) => "-",
        };
        let places = self.places().join(", ");
        let meaning = fact.map_or("", |fact| fact.meaning);
        let line = format!("  {sign} {:<18} {since:<4}  {places:<15} {meaning}", self.report.name);
        wrap(line.trim_end(), WIDTH, 44)
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
        text += &(count(all, table) + "\n");
    }
    text += "✓ shown, - left out with a reason (`--missing`), ! wrong; then since when, and where\n\
             it ran. `cargo xtask atlas NAME` prints what was asked and answered.\n";
    for shown in all {
        for problem in shown.problems() {
            text += &(wrap(&format!("! {}: {problem}", shown.report.name), WIDTH, 4) + "\n");
        }
    }
    text
}

/// How many names of a table were shown.
fn count(all: &[Shown], table: &Table) -> String {
    let shown: BTreeSet<&str> =
        all.iter().flat_map(|shown| &shown.in_the_record).map(String::as_str).collect();
    let known = table.entries.iter().filter(|entry| shown.contains(entry.name)).count();
    format!("{known} of {} {}s shown", table.entries.len(), table.what)
}

/// What this machine cannot show: why, and where it can be seen; and what no entry shows.
pub fn missing(all: &[Shown]) -> String {
    let mut lines = Vec::new();
    for shown in all {
        let left_out = shown.report.left_out.iter();
        lines.extend(left_out.map(|left_out| format!("  {:<18} {left_out}", shown.report.name)));
    }
    let nameless: BTreeSet<&str> = all.iter().flat_map(Shown::nameless).collect();
    if !nameless.is_empty() {
        let names = nameless.into_iter().collect::<Vec<_>>().join(", ");
        lines.push(format!("Shown by an entry alone, the record has no word for it: {names}"));
    }
    let named: BTreeSet<&str> =
        all.iter().flat_map(|shown| &shown.report.shows).map(String::as_str).collect();
    let without = catalog::TABLES.iter().flat_map(|table| table.entries);
    let without: Vec<&str> =
        without.map(|entry| entry.name).filter(|name| !named.contains(name)).collect();
    if !without.is_empty() {
        lines.push(format!("No entry shows: {}", without.join(", ")));
    }
    if lines.is_empty() {
        return "Everything is shown on this machine.".to_string();
    }
    let heading = format!("Left out on Linux {}:", kernel_release());
    let wrapped = lines.iter().map(|line| wrap(line, WIDTH, 21));
    [heading].into_iter().chain(wrapped).collect::<Vec<_>>().join("\n")
}
