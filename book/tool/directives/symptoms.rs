//! `{{#symptoms verdicts}}` and `{{#symptoms faults}}`: the ids of the exercises' verdicts and of
//! the tracer's faults, and the heading of the book that explains each. Both lists are read from
//! the sources.

use std::fs;
use std::path::{Path, PathBuf};

use super::sources::{Sources, in_file, load};
use crate::markup;
use crate::paths::name;
use crate::problem::Complaint;

/// Where the verdicts of exercises are.
const VERDICTS: &str = "xtask/grader/src/exercise/ids.rs";

/// Where the tracer's faults are.
const FAULTS: &str = "xtask/trace/src/diagnosis";

/// `{{#symptoms WHICH}}`.
pub fn directive(sources: &Sources<'_>, which: &str) -> Result<String, Complaint> {
    match which {
        "verdicts" => {
            let file = sources.root.join(VERDICTS);
            let text = load(&file, VERDICTS)?;
            let verdicts = verdicts(&text);
            let row = |it: &[&str; 3]| {
                Ok(format!("| {} | {} | {} |\n", anchor(it[0]), it[1], link(sources, it[2])?))
            };
            let rows: Result<Vec<String>, Complaint> = verdicts.iter().map(row).collect();
            let rows = rows.map_err(|wrong| in_file(wrong, VERDICTS))?;
            Ok(format!("| verdict | what it means | read |\n|---|---|---|\n{}", rows.concat()))
        }
        "faults" => {
            let mut found = Vec::new();
            for path in rust_files(&sources.root.join(FAULTS)) {
                let file = name(sources.root, &path);
                let text = load(&path, &file)?;
                for [kind, place] in faults(&text) {
                    let link = link(sources, place).map_err(|wrong| in_file(wrong, &file))?;
                    found.push(format!("| {} | {link} |\n", anchor(kind)));
                }
            }
            found.sort();
            found.dedup();
            Ok(format!("| fault | read |\n|---|---|\n{}", found.concat()))
        }
        other => Err(Complaint::new(
            format!("`{{{{#symptoms {other}}}}}` is not known"),
            "write {{#symptoms verdicts}} or {{#symptoms faults}}",
        )),
    }
}

/// Name, meaning and place of every verdict.
fn verdicts(text: &str) -> Vec<[&str; 3]> {
    let list = text.split_once("ids! {\n").map_or("", |(_, rest)| rest);
    let list = list.split("\n}").next().unwrap_or_default();
    let words: Vec<&str> = list.split('"').skip(1).step_by(2).collect();
    words.chunks_exact(3).map(|it| [it[0], it[1], it[2]]).collect()
}

/// Name and place of every fault.
fn faults(text: &str) -> Vec<[&str; 2]> {
    let calls = ["Kind::new(\"", "Kind::concluded(\""]
        .into_iter()
        .flat_map(|call| text.split(call).skip(1));
    calls
        .filter_map(|rest| {
            let mut words = rest.split('"');
            Some([words.next()?, words.nth(1)?])
        })
        .collect()
}

/// A name with an anchor for links.
fn anchor(name: &str) -> String {
    format!("<a id=\"{}\"></a>{}", name.to_lowercase(), markup::code(name))
}

/// A link to `page.html#heading`, with the heading's words.
fn link(sources: &Sources<'_>, place: &str) -> Result<String, Complaint> {
    let (page, fragment) = place.split_once('#').unwrap_or((place, ""));
    let file = page.replace(".html", ".md");
    let text = load(&sources.book.join("src").join(&file), &format!("book/src/{file}"))?;
    let title = headings(&text).into_iter().find(|(id, _)| fragment.is_empty() || id == fragment);
    let title = title.map_or_else(|| fragment.to_string(), |(_, title)| title);
    let target = place.replace(".html", ".md");
    Ok(format!("[{}]({target})", markup::plain(&title)))
}

/// The fragment and the words of each heading.
fn headings(text: &str) -> Vec<(String, String)> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    let title = |line: &str| {
        let line = line.trim_start_matches('#').trim();
        match line.split_once(" {#") {
            Some((title, id)) => (id.trim_end_matches('}').to_string(), title.to_string()),
            None => (slug(line), line.to_string()),
        }
    };
    headings.map(title).collect()
}

/// The fragment that mdBook makes of a heading.
fn slug(title: &str) -> String {
    let kept = |letter: &char| letter.is_alphanumeric() || " _-".contains(*letter);
    title.to_lowercase().chars().filter(kept).collect::<String>().replace(' ', "-")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|it| it == "rs"));
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_and_faults_are_read_from_the_sources() {
        let text =
            "ids! {\n    // A\n    A \"E-A\" \"it is a\"\n        \"day1.html#x\"\n}\n\"no\"";
        assert_eq!(verdicts(text), [["E-A", "it is a", "day1.html#x"]]);
        let text = "const A: Kind =\n    Kind::new(\"never-a\", \"day1.html#x\");\n";
        assert_eq!(faults(text), [["never-a", "day1.html#x"]]);
    }

    #[test]
    fn a_heading_has_a_fragment() {
        let text = "# One, two: `three`\n\nText\n\n## Out of buffers (8) {#pitfall-8}\n";
        let found = headings(text);
        assert_eq!(found[0].0, "one-two-three");
        assert_eq!(found[1], ("pitfall-8".to_string(), "Out of buffers (8)".to_string()));
    }
}
