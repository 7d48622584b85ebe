//! The lines between two anchors of a source file.
//!
//! `// ANCHOR: name` opens a passage and `// ANCHOR_END: name` closes it; they may nest. In files
//! that are not Rust the words stand after whatever begins a comment there.

use crate::problem::Complaint;

/// The passage of `text` with this anchor, or all of it: without the anchors' own lines, and
/// without common indentation. `file` is its name in messages.
pub fn cut(text: &str, anchor: Option<&str>, file: &str) -> Result<String, Complaint> {
    let lines: Vec<&str> = match anchor {
        None => text.lines().filter(|line| mark(line).is_none()).collect(),
        Some(anchor) => between(text, anchor, file)?,
    };
    let passage = dedented(&lines);
    if passage.trim().is_empty() {
        let what = anchor.map_or(format!("{file} is empty"), |anchor| {
            format!("nothing stands between the anchors `{anchor}` in {file}")
        });
        return Err(Complaint::new(what, "move the anchors round the passage"));
    }
    Ok(passage)
}

/// The lines between the two lines of an anchor.
fn between<'t>(text: &'t str, anchor: &str, file: &str) -> Result<Vec<&'t str>, Complaint> {
    let mut lines = Vec::new();
    let mut opened = None;
    let mut closed = false;
    for (index, line) in text.lines().enumerate() {
        match mark(line) {
            Some(Mark::Start(name)) if name == anchor => {
                if opened.is_some() {
                    return Err(Complaint::new(
                        format!("{file}:{}: a second anchor `{anchor}`", index + 1),
                        "give each passage its own name",
                    ));
                }
                opened = Some(index + 1);
            }
            Some(Mark::End(name)) if name == anchor => closed = true,
            Some(_) => {}
            None if opened.is_some() && !closed => lines.push(line),
            None => {}
        }
    }
    match opened {
        None => Err(Complaint::new(
            format!("{file} has no anchor `{anchor}`"),
            match anchors(text).as_slice() {
                [] => format!(
                    "it has none: put `// ANCHOR: {anchor}` and `// ANCHOR_END: {anchor}` round the passage"
                ),
                names => format!("it has: {}", names.join(", ")),
            },
        )),
        Some(line) if !closed => Err(Complaint::new(
            format!("{file}:{line}: the anchor `{anchor}` has no end"),
            format!("put `// ANCHOR_END: {anchor}` after the passage"),
        )),
        Some(_) => Ok(lines),
    }
}

/// An anchor's line.
#[derive(Debug, PartialEq, Eq)]
enum Mark<'t> {
    /// The passage begins after it.
    Start(&'t str),
    /// The passage ends before it.
    End(&'t str),
}

/// The anchor that a line holds.
fn mark(line: &str) -> Option<Mark<'_>> {
    let name = |rest: &'static str| {
        let (_, after) = line.split_once(rest)?;
        let after = after.trim_start();
        let end = after.find(|c| !is_name(c)).unwrap_or(after.len());
        (end > 0).then_some(&after[..end])
    };
    name("ANCHOR:").map(Mark::Start).or_else(|| name("ANCHOR_END:").map(Mark::End))
}

/// The names of all anchors that begin in a file.
fn anchors(text: &str) -> Vec<&str> {
    text.lines()
        .filter_map(|line| match mark(line) {
            Some(Mark::Start(name)) => Some(name),
            _ => None,
        })
        .collect()
}

/// The lines without the white space that all of them begin with, each ended by a newline. Empty
/// lines at the beginning and at the end are left out.
fn dedented(lines: &[&str]) -> String {
    let filled = |line: &&str| !line.trim().is_empty();
    let first = lines.iter().position(&filled).unwrap_or(lines.len());
    let last = lines.iter().rposition(&filled).map_or(first, |last| last + 1);
    let lines = &lines[first..last];
    let indent = lines
        .iter()
        .filter(|line| filled(line))
        .map(|line| line.len() - line.trim_start().len())
        .min()
        .unwrap_or(0);
    lines.iter().map(|line| format!("{}\n", line.get(indent..).unwrap_or("").trim_end())).collect()
}

/// The characters of an anchor's name.
pub fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '-'
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
fn main() {
    // ANCHOR: outer
    let ring = ring();

    // ANCHOR: inner
    if ready {
        go();
    }
    // ANCHOR_END: inner
    // ANCHOR_END: outer
}
// ANCHOR: open
// ANCHOR: hollow
// ANCHOR_END: hollow
";

    #[test]
    fn a_passage_is_cut_and_moved_to_the_left() {
        assert_eq!(
            cut(SOURCE, Some("outer"), "a.rs").unwrap(),
            "let ring = ring();\n\nif ready {\n    go();\n}\n"
        );
        assert_eq!(cut(SOURCE, Some("inner"), "a.rs").unwrap(), "if ready {\n    go();\n}\n");
    }

    #[test]
    fn a_whole_file_has_no_anchor_lines() {
        let whole = cut("one\n// ANCHOR: x\n  two\n// ANCHOR_END: x\n", None, "a.rs").unwrap();
        assert_eq!(whole, "one\n  two\n");
    }

    #[test]
    fn what_is_wrong_with_an_anchor_is_told() {
        let complaint = |anchor| cut(SOURCE, Some(anchor), "a.rs").unwrap_err();
        let missing = complaint("middle");
        assert_eq!(missing.what, "a.rs has no anchor `middle`");
        assert_eq!(missing.remedy, "it has: outer, inner, open, hollow");
        assert_eq!(complaint("open").what, "a.rs:12: the anchor `open` has no end");
        assert_eq!(complaint("hollow").what, "nothing stands between the anchors `hollow` in a.rs");
        let twice = "// ANCHOR: a\nx\n// ANCHOR_END: a\n// ANCHOR: a\n";
        assert!(cut(twice, Some("a"), "a.rs").unwrap_err().what.contains("a second anchor"));
    }
}
