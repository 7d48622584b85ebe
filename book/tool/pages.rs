//! The pages of the book, and how long each takes.

use std::path::Path;

use mdbook_preprocessor::book::{Book, BookItem};

use crate::exercises;
use crate::problem::{Complaint, Problem};

/// One page, as the summary has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its title in the summary.
    pub title: String,
    /// Its file in `book/src`.
    pub file: String,
    /// Its part in the summary; empty before the first part.
    pub part: String,
    /// Its level of nesting.
    pub depth: usize,
    /// The minutes from its first line; 0 for a page to look things up.
    pub minutes: u32,
}

/// All pages of a book, and what is wrong with their first lines. `root` is the workspace.
pub fn pages(root: &Path, book: &Book) -> (Vec<Page>, Vec<Problem>) {
    let (mut pages, mut problems) = (Vec::new(), Vec::new());
    let mut part = String::new();
    for item in book.iter() {
        match item {
            BookItem::PartTitle(title) => part.clone_from(title),
            BookItem::Chapter(chapter) if !chapter.is_draft_chapter() => {
                let file = chapter.source_path.clone().unwrap_or_default().display().to_string();
                let minutes = minutes(root, &chapter.content).unwrap_or_else(|complaint| {
                    problems.push(complaint.at(format!("book/src/{file}"), 1));
                    0
                });
                pages.push(Page {
                    title: chapter.name.clone(),
                    file,
                    part: part.clone(),
                    depth: chapter.parent_names.len(),
                    minutes,
                });
            }
            _ => {}
        }
    }
    (pages, problems)
}

/// The words on a page that is not read from beginning to end.
const LOOKED_UP: &str = "to look things up";

/// The minutes of a page's first line: a number, or `exercises day01` for the sum of a day's
/// exercises. A page `to look things up` takes none.
pub fn minutes(root: &Path, text: &str) -> Result<u32, Complaint> {
    let first = text.lines().next().unwrap_or_default().trim();
    let stated = first
        .strip_prefix("<!--")
        .and_then(|rest| rest.strip_suffix("-->"))
        .and_then(|rest| rest.trim().strip_prefix("minutes:"))
        .map(str::trim)
        .unwrap_or_default();
    if let Some(day) = stated.strip_prefix("exercises ") {
        return Ok(exercises::minutes(&exercises::of_day(root, day.trim())?.0));
    }
    if stated == LOOKED_UP {
        return Ok(0);
    }
    stated.parse().ok().filter(|minutes| *minutes > 0).ok_or_else(|| {
        Complaint::new(
            "the page does not say how many minutes it takes",
            "make its first line `<!-- minutes: 20 -->`, with a number above 0",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_states_minutes() {
        let root = Path::new("/nowhere");
        assert_eq!(minutes(root, "<!-- minutes: 20 -->\n# A\n").unwrap(), 20);
        assert_eq!(minutes(root, "<!-- minutes: to look things up -->\n").unwrap(), 0);
        for wrong in
            ["# A\n<!-- minutes: 20 -->\n", "<!-- minutes: some -->", "<!-- minutes: 0 -->", ""]
        {
            assert!(minutes(root, wrong).is_err(), "{wrong}");
        }
    }
}
