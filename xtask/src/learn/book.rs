//! A place in the book, to be read in the terminal.

use std::fs;
use std::path::Path;

/// The section that `day3.html#re-arming` names, as Markdown; the page's beginning, if it has
/// no such heading. `None` if there is no such page.
pub fn section(workspace: &Path, place: &str) -> Option<String> {
    let (page, fragment) = place.split_once('#').unwrap_or((place, ""));
    let path = workspace.join("book/src").join(page).with_extension("md");
    let text = fs::read_to_string(path).ok()?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().starts_with("{{#")).collect();
    let from = lines.iter().position(|line| level(line) > 0 && slug(line) == fragment);
    let from = from.unwrap_or(0);
    let depth = level(lines.get(from)?);
    let to = lines[from + 1..]
        .iter()
        .position(|line| (1..=depth.max(1)).contains(&level(line)))
        .map_or(lines.len(), |at| from + 1 + at);
    Some(lines[from..to].join("\n"))
}

/// The page as a browser finds it, if the book has been built.
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

/// The fragment that mdBook gives a heading.
fn slug(heading: &str) -> String {
    heading
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
    fn a_heading_has_its_fragment() {
        assert_eq!(slug("## One accept, for all"), "one-accept-for-all");
        assert_eq!(slug("### `F_MORE` and after"), "f_more-and-after");
    }
}
