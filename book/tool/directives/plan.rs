//! `{{#plan}}` and `{{#total PAGE}}`: how many minutes the pages take.

use std::fmt::Write as _;

use crate::markup;
use crate::pages::Page;
use crate::problem::Complaint;

/// The minutes of the page `name.md` and of the pages nested in it.
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

/// A page and the pages nested in it.
fn part(pages: &[Page], at: usize) -> &[Page] {
    let below = &pages[at + 1..];
    let nested = below.iter().take_while(|page| page.depth > pages[at].depth).count();
    &pages[at..=at + nested]
}

/// The plan: every page that is read as a whole, with its minutes, and sums for each part and for
/// all pages.
pub fn plan(pages: &[Page]) -> String {
    let mut out = String::from("| page | minutes |\n|---|--:|\n");
    let mut rest = pages;
    while let Some(first) = rest.first() {
        let count = rest.iter().take_while(|page| page.part == first.part).count();
        let (here, after) = rest.split_at(count);
        for page in here.iter().filter(|page| page.minutes > 0) {
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
