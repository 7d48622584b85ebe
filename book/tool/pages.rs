//! The pages of the book, and how long each takes.

use std::fmt::Write as _;
use std::path::Path;

use mdbook_preprocessor::book::{Book, BookItem};

use crate::exercises;
use crate::markup;
use crate::problem::{Complaint, Problem};

/// One page, as the summary has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// Its title in the summary.
    pub title: String,
    /// Its file in `book/src`.
    pub file: String,
    /// The part that the summary puts it in; empty before the first.
    pub part: String,
    /// How many pages it is nested in.
    pub depth: usize,
    /// What its first line says.
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

/// The minutes that a page's first line states: a number, or `exercises day01` for those of a
/// day's exercises together.
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
    stated.parse().ok().filter(|minutes| *minutes > 0).ok_or_else(|| {
        Complaint::new(
            "the page does not say how many minutes it takes",
            "make its first line `<!-- minutes: 20 -->`, with a number above 0",
        )
    })
}

/// The minutes of the page `name.md` and of those nested in it.
pub fn total(pages: &[Page], name: &str) -> Result<u32, Complaint> {
    if name == "book" {
        return Ok(pages.iter().map(|page| page.minutes).sum());
    }
    let Some(at) = pages.iter().position(|page| page.file.strip_suffix(".md") == Some(name)) else {
        let known: Vec<&str> =
            pages.iter().filter_map(|page| page.file.strip_suffix(".md")).collect();
        return Err(Complaint::new(
            format!("no page is called `{name}`"),
            format!("there are: {}, and `book` for all", known.join(", ")),
        ));
    };
    Ok(part(pages, at).iter().map(|page| page.minutes).sum())
}

/// A page and those nested in it.
fn part(pages: &[Page], at: usize) -> &[Page] {
    let below = &pages[at + 1..];
    let nested = below.iter().take_while(|page| page.depth > pages[at].depth).count();
    &pages[at..=at + nested]
}

/// The plan: every page with its minutes, added up for each part and for all.
pub fn plan(pages: &[Page]) -> String {
    let mut out = String::from("| page | minutes |\n|---|--:|\n");
    let mut rest = pages;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|page| page.part == first.part).count();
        let (here, after) = rest.split_at(count);
        for page in here {
            let indent = "&nbsp;&nbsp;".repeat(page.depth);
            let title = markup::plain(&page.title);
            let _ = writeln!(out, "| {indent}[{title}]({}) | {} |", page.file, page.minutes);
        }
        let sum: u32 = here.iter().map(|page| page.minutes).sum();
        let name = if first.part.is_empty() { "Before the first day" } else { &first.part };
        let _ = writeln!(out, "| **{}, together** | **{sum}** |", markup::plain(name));
        rest = after;
    }
    let all: u32 = pages.iter().map(|page| page.minutes).sum();
    let _ = writeln!(out, "| **All of it** | **{all}** |");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(file: &str, part: &str, depth: usize, minutes: u32) -> Page {
        Page {
            title: file.to_owned(),
            file: format!("{file}.md"),
            part: part.to_owned(),
            depth,
            minutes,
        }
    }

    #[test]
    fn the_first_line_states_minutes() {
        let root = Path::new("/nowhere");
        assert_eq!(minutes(root, "<!-- minutes: 20 -->\n# A\n").unwrap(), 20);
        for wrong in
            ["# A\n<!-- minutes: 20 -->\n", "<!-- minutes: some -->", "<!-- minutes: 0 -->", ""]
        {
            assert!(minutes(root, wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn minutes_are_added_up() {
        let pages = [
            page("setup", "", 0, 5),
            page("day1", "Days", 0, 60),
            page("nops", "Days", 1, 10),
            page("day2", "Days", 0, 70),
        ];
        assert_eq!(total(&pages, "day1").unwrap(), 70);
        assert_eq!(total(&pages, "day2").unwrap(), 70);
        assert_eq!(total(&pages, "book").unwrap(), 145);
        assert!(total(&pages, "day9").unwrap_err().remedy.contains("setup, day1"));
        let plan = plan(&pages);
        assert!(
            plan.contains("| **Days&#44; together** | **140** |")
                || plan.contains("| **Days, together** | **140** |"),
            "{plan}"
        );
        assert!(plan.ends_with("| **All of it** | **145** |\n"), "{plan}");
    }
}
