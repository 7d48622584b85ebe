//! `{{#atlas-errors ERRNO}}`: every way in which the atlas gets an error, and why. Without a name:
//! the errors that it gets, with links to their headings. `others`: the errors that the page
//! `errors.md` does not name, each below a heading.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;

use nix::errno::Errno;

use super::sources::Sources;
use crate::atlas::{Atlas, Entry, Family};
use crate::markup;
use crate::problem::Complaint;

/// A way to an error.
struct Way<'atlas> {
    family: &'atlas Family,
    entry: &'atlas Entry,
    asked: String,
    why: String,
}

/// `{{#atlas-errors ERRNO}}`.
pub fn directive(sources: &Sources<'_>, name: &str) -> Result<String, Complaint> {
    let atlas = Atlas::read(sources.root)?;
    let all = ways(&atlas);
    match name {
        "" => return Ok(overview(&all)),
        "others" => return Ok(others(sources, &all)),
        _ => {}
    }
    all.get(name).map(|ways| list(ways)).ok_or_else(|| {
        let known: Vec<&str> = all.keys().map(String::as_str).collect();
        Complaint::new(
            format!("the atlas does not get the error `{name}`"),
            format!("it gets: {}", known.join(", ")),
        )
    })
}

/// The ways to each error, in the order of the atlas.
fn ways(atlas: &Atlas) -> BTreeMap<String, Vec<Way<'_>>> {
    let mut all: BTreeMap<String, Vec<Way<'_>>> = BTreeMap::new();
    let entries = atlas.families.iter().flat_map(|it| it.entries.iter().map(move |e| (it, e)));
    for (family, entry) in entries {
        let runs = atlas.runs_of(&family.name, &entry.name);
        for row in runs.iter().flat_map(|(_, recorded)| &recorded.report.rows) {
            let (Some(errno), Some(why)) = (&row.errno, &row.why) else { continue };
            // An error without a name.
            if !row.answered.starts_with(errno) {
                continue;
            }
            let ways = all.entry(errno.clone()).or_default();
            let known = |it: &Way<'_>| it.entry.file == entry.file && it.asked == row.asked;
            if !ways.iter().any(known) {
                ways.push(Way { family, entry, asked: row.asked.clone(), why: why.clone() });
            }
        }
    }
    all
}

/// The errors, and how many ways lead to each.
fn overview(all: &BTreeMap<String, Vec<Way<'_>>>) -> String {
    let mut out = String::from("| error | its text | ways |\n|---|---|--:|\n");
    for (name, ways) in all {
        let errno = (1..134).map(Errno::from_raw).find(|errno| format!("{errno:?}") == *name);
        let text = errno.map_or("", |errno| errno.desc());
        let link = format!("[{}](#{})", markup::code(name), name.to_lowercase());
        let _ = writeln!(out, "| {link} | {text} | {} |", ways.len());
    }
    out
}

/// The ways to the errors that the page does not explain.
fn others(sources: &Sources<'_>, all: &BTreeMap<String, Vec<Way<'_>>>) -> String {
    let page = fs::read_to_string(sources.book.join("src/errors.md")).unwrap_or_default();
    let named = |name: &str| page.contains(&format!("{{{{#atlas-errors {name}}}}}"));
    let rest = all.iter().filter(|(name, _)| !named(name));
    let section = |(name, ways): (&String, &Vec<Way<'_>>)| {
        format!("## {name} {{#{}}}\n\n{}\n", name.to_lowercase(), list(ways))
    };
    rest.map(section).collect()
}

/// The ways to one error, by families if there are many.
fn list(ways: &[Way<'_>]) -> String {
    const MANY: usize = 20;
    let many = ways.len() > MANY;
    let mut out = String::from("<div class=\"asked\">\n");
    for group in ways.chunk_by(|a, b| !many || a.family.name == b.family.name) {
        if many {
            let _ = writeln!(out, "\n**{}**", group[0].family.called());
        }
        out.push('\n');
        for Way { family, entry, asked, why } in group {
            let link = format!("[<small>{}</small>]({}#{})", entry.name, family.page(), entry.name);
            let (asked, why) = (markup::plain(asked), markup::plain(why));
            let _ = writeln!(out, "- {asked}: {why} {link}");
        }
    }
    out + "\n</div>\n"
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
    fn each_way_to_an_error_has_its_reason_and_its_entry() {
        let list = of("EINVAL").unwrap();
        let line = "- FSYNC of a&#124;b: no disk [<small>fsync</small>](atlas-files.md#fsync)\n";
        assert_eq!(list, format!("<div class=\"asked\">\n\n{line}\n</div>\n"));
        let overview = of("").unwrap();
        assert!(
            overview.ends_with("\n| [<code>EINVAL</code>](#einval) | Invalid argument | 1 |\n")
        );
    }

    #[test]
    fn an_error_that_no_entry_gets_is_told() {
        let wrong = of("ENOTTY").unwrap_err();
        assert_eq!(wrong.what, "the atlas does not get the error `ENOTTY`");
        assert_eq!(wrong.remedy, "it gets: EINVAL");
    }
}
