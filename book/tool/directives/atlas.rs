//! `{{#atlas FAMILY}}`: a family of the atlas: the words of each entry's file, its listing, and its
//! questions and answers in the recorded runs.

use std::fmt::Write as _;

use atlas::{Kind, Recorded, Row};

use super::include;
use super::sources::Sources;
use crate::atlas::{Atlas, Entry, Family, Run};
use crate::markup;
use crate::problem::Complaint;

/// `{{#atlas FAMILY}}`.
pub fn directive(sources: &Sources<'_>, name: &str) -> Result<String, Complaint> {
    let atlas = Atlas::read(sources.root)?;
    let family = atlas.family(name)?;
    let list =
        family.entries.iter().map(|it| format!("[{}](#{})", markup::plain(&it.title), it.name));
    let mut out = list.collect::<Vec<_>>().join(" ·\n") + "\n";
    for entry in &family.entries {
        out += &one(&atlas, family, entry);
    }
    Ok(out)
}

/// One entry.
fn one(atlas: &Atlas, family: &Family, entry: &Entry) -> String {
    let Entry { name, file, title, lead, prose, listing } = entry;
    let mut out = format!("\n## {} {{#{name}}}\n\n**{lead}**\n\n{prose}\n\n", markup::plain(title));
    let _ = writeln!(out, "<div class=\"listing-source\">{}</div>\n", markup::html(file));
    let _ = writeln!(out, "{}", markup::fenced("rust", &include::visible(listing)));
    let runs = atlas.runs_of(&family.name, name);
    let command = format!("`cargo xtask atlas {name}`");
    if runs.is_empty() {
        let _ = writeln!(out, "\nNo run of it is recorded so far: {command} shows it.");
    }
    for (nth, (run, recorded)) in runs.iter().enumerate() {
        // The first has a button in the served book.
        let name = if nth == 0 { name } else { "" };
        out += &ran(name, &command, run, recorded);
    }
    if let Some((_, last)) = runs.last() {
        out += &left_out(last);
    }
    out
}

/// The questions and answers of a run.
fn ran(name: &str, command: &str, run: &Run, recorded: &Recorded) -> String {
    if recorded.report.rows.is_empty() {
        return String::new();
    }
    let mut out = format!(
        "\n{command} on Linux {}:\n\n<div class=\"asked\" data-entry=\"{name}\">\n\n",
        run.called()
    );
    for (row, place) in recorded.report.rows.iter().zip(&recorded.ran) {
        let _ = writeln!(out, "- {}", line(row, place.as_deref()));
    }
    out + "\n</div>\n"
}

/// A row.
fn line(row: &Row, place: Option<&str>) -> String {
    let asked = markup::plain(&row.asked);
    if row.kind == Kind::Saw {
        return format!("✓ {asked}");
    }
    let flags = row.errno.as_ref().and_then(|errno| row.answered.strip_prefix(errno));
    let answered = match (&row.errno, flags) {
        (Some(errno), Some(flags)) => {
            let link = format!("[{}](errors.md#{})", markup::code(errno), errno.to_lowercase());
            if flags.is_empty() { link } else { link + &markup::code(flags) }
        }
        // An error without a name.
        _ => markup::code(&row.answered),
    };
    let why = row.why.as_ref().map_or(String::new(), |why| format!(": {}", markup::plain(why)));
    let place = place.map_or(String::new(), |it| format!(" <small>{it}</small>"));
    format!("{asked} → {answered}{why}{place}")
}

/// The parts that no run shows.
fn left_out(recorded: &Recorded) -> String {
    let left_out = recorded.report.left_out.iter();
    left_out.map(|it| format!("\nLeft out: {}.\n", markup::plain(&it.to_string()))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::atlas::tests::workspace;

    fn page(name: &str) -> Result<String, Complaint> {
        let root = workspace();
        let sources = Sources { root: root.path(), book: root.path(), pages: &[] };
        directive(&sources, name)
    }

    #[test]
    fn an_entry_has_its_words_its_listing_and_its_runs() {
        let page = page("files").unwrap();
        for part in [
            "[FSYNC](#fsync)\n",
            "## FSYNC {#fsync}\n\n**Flush a file.**\n\nSince 5.1. It\nwaits.\n",
            "<div class=\"listing-source\">day01/atlas/files/fsync.rs</div>\n\n```rust\nfn show() {}\n```",
            "`cargo xtask atlas fsync` on Linux 6.18:",
            "- FSYNC of a&#124;b → [<code>EINVAL</code>](errors.md#einval): no disk\n",
            "`cargo xtask atlas fsync` on Linux 7.3, in the emulated machine:",
            "- DATASYNC → <code>0</code> <small>worker</small>\n",
        ] {
            assert!(page.contains(part), "{part}\n\n{page}");
        }
        assert!(!page.contains("Left out"), "the second machine has it: {page}");
    }

    #[test]
    fn a_wrong_family_is_told() {
        assert_eq!(page("flies").unwrap_err().remedy, "there are: files");
    }
}
