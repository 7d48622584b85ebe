//! `{{#atlas-table NAME}}`: a table of the catalogue with a link to each entry of the atlas, where
//! it ran, and on which kernel it was shown; or `families`, the families themselves.

use std::fmt::Write as _;

use common::catalog;

use super::catalog as tables;
use super::sources::Sources;
use crate::atlas::Atlas;
use crate::markup;
use crate::problem::Complaint;

/// `{{#atlas-table NAME}}`.
pub fn directive(sources: &Sources<'_>, name: &str) -> Result<String, Complaint> {
    let atlas = Atlas::read(sources.root)?;
    match name {
        "families" => Ok(families(&atlas)),
        name => Ok(table(&atlas, tables::find(name)?)),
    }
}

/// The families and their subjects.
fn families(atlas: &Atlas) -> String {
    let mut out = String::from("| family | entries | |\n|---|--:|---|\n");
    for family in &atlas.families {
        let (called, count) = (family.called(), family.entries.len());
        let about = family.about.lines().take_while(|line| !line.is_empty());
        let about = about.collect::<Vec<_>>().join(" ");
        let _ = writeln!(out, "| [{called}]({}) | {count} | {about} |", family.page());
    }
    out
}

/// A table of the catalogue: its names, since when, where they ran, where they are shown.
fn table(atlas: &Atlas, table: &catalog::Table) -> String {
    let runs = std::ptr::eq(table, &catalog::OPERATIONS);
    let head = if runs { " ran |" } else { "" };
    let rule = if runs { "---|" } else { "" };
    let mut out = format!(
        "| {} | since |{head} shown on Linux | what it does |\n|---|---|{rule}---|---|\n",
        table.what
    );
    for fact in table.entries {
        let Shown { link, places, run } = Shown::find(atlas, fact.name);
        let name = markup::code(fact.short);
        let name = link.map_or(name.clone(), |link| format!("[{name}]({link})"));
        let places = if runs { format!(" {places} |") } else { String::new() };
        let meaning = markup::plain(fact.meaning);
        let _ = writeln!(out, "| {name} | {} |{places} {run} | {meaning} |", fact.since);
    }
    out
}

/// The tables whose names the kernel's record always shows, unlike a flag in a ring's own memory.
const NAMED: [&str; 5] =
    ["IORING_OP_", "IORING_SETUP_", "IORING_FEAT_", "IORING_REGISTER_", "IORING_UNREGISTER_"];

/// The atlas' entry for a name.
#[derive(Default)]
struct Shown {
    link: Option<String>,
    places: String,
    run: String,
}

impl Shown {
    fn find(atlas: &Atlas, name: &str) -> Shown {
        let Some((family, entry)) = atlas.that_shows(name) else { return Shown::default() };
        let runs = atlas.runs_of(&family.name, &entry.name);
        let is_left_out = |it: &atlas::LeftOut| it.what == name;
        let mut with = runs.iter().filter(|(_, it)| !it.report.left_out.iter().any(is_left_out));
        let held = runs.iter().find(|(_, it)| it.in_the_record.iter().any(|it| it == name));
        let is_named = NAMED.iter().any(|prefix| name.starts_with(prefix));
        let shown = held.or_else(|| with.next().filter(|_| !is_named));
        Shown {
            link: Some(format!("{}#{}", family.page(), entry.name)),
            places: shown.map_or(String::new(), |(_, it)| it.places.join(", ")),
            run: shown.map_or("not here".to_owned(), |(run, _)| run.called()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atlas::tests::workspace;

    fn of(name: &str) -> Result<String, Complaint> {
        let root = workspace();
        directive(&Sources { root: root.path(), book: root.path(), pages: &[] }, name)
    }

    #[test]
    fn a_name_has_its_entry_its_place_and_its_kernel() {
        let table = of("operations").unwrap();
        let row = "| [<code>FSYNC</code>](atlas-files.md#fsync) | 5.1 | worker | 6.18 | ";
        assert!(table.contains(row), "{table}");
        assert!(table.contains("\n| <code>NOP</code> | 5.1 |  |  | "), "{table}");
        let row = "](atlas-files.md#fsync) | 5.1 | 7.3, in the emulated machine | ";
        assert!(of("fsync-flags").unwrap().contains(row));
    }

    #[test]
    fn families_have_their_pages() {
        let row = "| [files](atlas-files.md) | 1 | About files. |\n";
        assert!(of("families").unwrap().ends_with(row));
    }

    #[test]
    fn a_wrong_table_is_told() {
        assert_eq!(of("nothing").unwrap_err().what, "the catalogue has no table `nothing`");
    }
}
