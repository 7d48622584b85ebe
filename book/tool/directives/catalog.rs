//! Tables of io_uring's names, from `common::catalog`.

use std::fmt::Write as _;

use common::catalog::{self, Entry, Table};

use crate::markup;
use crate::problem::Complaint;

/// The table that `name` means, as Markdown.
pub fn table(name: &str) -> Result<String, Complaint> {
    let table = find(name)?;
    Ok(if std::ptr::eq(table, &catalog::OPERATIONS) { by_group(table) } else { whole(table) })
}

/// The table that `name` means.
pub fn find(name: &str) -> Result<&'static Table, Complaint> {
    let found = catalog::TABLES.iter().find(|table| names(table).iter().any(|it| it == name));
    found.copied().ok_or_else(|| {
        let known: Vec<String> =
            catalog::TABLES.iter().map(|table| names(table).swap_remove(0)).collect();
        Complaint::new(
            format!("the catalogue has no table `{name}`"),
            format!("it has: {}", known.join(", ")),
        )
    })
}

/// The names of a table: `setup-flags`, and for the feature bits `features` too.
fn names(table: &Table) -> Vec<String> {
    let slug = table.what.replace(' ', "-") + "s";
    let short = slug.strip_suffix("-bits").map(|short| format!("{short}s"));
    std::iter::once(slug).chain(short).collect()
}

/// The operations under the names of their groups.
fn by_group(table: &Table) -> String {
    let mut out = String::from("| operation | code | since | meaning |\n|---|--:|---|---|\n");
    for group in catalog::OPERATION_GROUPS {
        let _ = writeln!(out, "| **{}** | | | |", markup::plain(group));
        for entry in table.in_group(group) {
            row(&mut out, entry, &entry.code.to_string());
        }
    }
    out
}

/// All of a table, in the order of its codes.
fn whole(table: &Table) -> String {
    let head = match table.kind {
        catalog::Kind::Codes => "code",
        catalog::Kind::Flags => "bit",
    };
    let mut out = format!("| {} | {head} | since | meaning |\n|---|--:|---|---|\n", table.what);
    for entry in table.entries {
        let code = match table.kind {
            catalog::Kind::Codes => entry.code.to_string(),
            catalog::Kind::Flags => entry.code.trailing_zeros().to_string(),
        };
        row(&mut out, entry, &code);
    }
    out
}

/// One line of a table.
fn row(out: &mut String, entry: &Entry, code: &str) {
    let (name, meaning) = (markup::code(entry.name), markup::plain(entry.meaning));
    let _ = writeln!(out, "| {name} | {code} | {} | {meaning} |", entry.since);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_a_name_of_its_own() {
        let mut all: Vec<String> = catalog::TABLES.iter().flat_map(|table| names(table)).collect();
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count, "{all:?}");
        for name in ["operations", "setup-flags", "features", "register-operations"] {
            assert!(table(name).is_ok(), "{name}");
        }
        assert!(table("flags").unwrap_err().remedy.contains("setup-flags, "));
    }

    #[test]
    fn every_operation_is_in_the_table_once() {
        let text = table("operations").unwrap();
        for entry in catalog::OPERATIONS.entries {
            let name = markup::code(entry.name);
            assert_eq!(text.matches(&format!("| {name} |")).count(), 1, "{}", entry.name);
        }
    }
}
