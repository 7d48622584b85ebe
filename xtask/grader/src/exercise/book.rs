//! Shows a place in the book on the terminal.

use std::fs;
use std::path::Path;

/// The section of a place such as `day3.html#re-arming`, as Markdown. The page's beginning, if it
/// has no such heading; `None` if there is no such page.
pub fn section(workspace: &Path, place: &str) -> Option<String> {
    let (page, fragment) = place.split_once('#').unwrap_or((place, ""));
    let text = text(workspace, page)?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().starts_with("{{#")).collect();
    let from = lines.iter().position(|line| level(line) > 0 && slug(line) == fragment);
    let from = from.unwrap_or(0);
    let depth = level(lines.get(from)?);
    let to = lines[from + 1..]
        .iter()
        .position(|line| (1..=depth.max(1)).contains(&level(line)))
        .map_or(lines.len(), |at| from + 1 + at);
    let shown = |line: &&'_ str| if level(line) > 0 { parts(line).0 } else { *line }.to_string();
    Some(lines[from..to].iter().map(shown).collect::<Vec<_>>().join("\n"))
}

/// The Markdown of `day3.html`.
fn text(workspace: &Path, page: &str) -> Option<String> {
    fs::read_to_string(workspace.join("book/src").join(page).with_extension("md")).ok()
}

/// Whether the book has this page with this heading. Always true in a checkout without the book.
pub fn has_place(workspace: &Path, place: &str) -> bool {
    if !workspace.join("book/src").is_dir() {
        return true;
    }
    let (page, fragment) = place.split_once('#').unwrap_or((place, ""));
    text(workspace, page).is_some_and(|text| {
        fragment.is_empty() || text.lines().any(|line| level(line) > 0 && slug(line) == fragment)
    })
}

/// The page's address for a browser, if the book has been built.
pub fn built(workspace: &Path, place: &str) -> Option<String> {
    let page = place.split('#').next()?;
    ["target/book", "target/book/html"]
        .iter()
        .map(|folder| workspace.join(folder))
        .find(|folder| folder.join(page).is_file())
        .map(|folder| format!("file://{}/{place}", folder.display()))
}

fn level(line: &str) -> usize {
    let marks = line.len() - line.trim_start_matches('#').len();
    if line[marks..].starts_with(' ') { marks } else { 0 }
}

/// A heading's words and the fragment after them, as in `## The turn {#turn}`.
fn parts(heading: &str) -> (&str, Option<&str>) {
    match heading.trim_end().strip_suffix('}').and_then(|heading| heading.rsplit_once(" {#")) {
        Some((words, fragment)) => (words, Some(fragment)),
        None => (heading, None),
    }
}

/// The fragment of a heading: its own, or the one that mdBook gives it.
fn slug(heading: &str) -> String {
    let (words, own) = parts(heading);
    if let Some(own) = own {
        return own.to_string();
    }
    words
        .trim_start_matches('#')
        .trim()
        .chars()
        .filter_map(|letter| match letter {
            ' ' => Some('-'),
            letter if letter.is_alphanumeric() || letter == '-' || letter == '_' => {
                Some(letter.to_ascii_lowercase())
            }
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_heading_with_a_fragment_of_its_own_is_found_and_shown_without() {
        let workspace = toolbox::programs::workspace();
        let text = section(&workspace, "day4-hardened.html#deadlines").expect("a page");
        assert!(text.starts_with("## Silent clients") && !text.contains("{#"), "{text}");
    }

    #[test]
    fn a_heading_has_its_fragment() {
        assert_eq!(slug("## One accept, for all"), "one-accept-for-all");
        assert_eq!(slug("### `F_MORE` and after"), "f_more-and-after");
        assert_eq!(slug("## A last word: `close.rs` {#ending}"), "ending");
    }
}
