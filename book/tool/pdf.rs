//! `pdf`: the book as one file for paper, with contents and page numbers. Chromium prints mdBook's
//! page of all pages; `pdfinfo` (Debian's poppler-utils) says on which sheet each chapter begins.
//! The first print has no page numbers in its contents, the second has them.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::build::{self, Place};
use crate::markup;
use crate::output;
use crate::pages::{self, Page};
use crate::pictures::run;
use crate::problem::Problem;

/// The style of the paper, the page numbers and the contents.
const STYLE: &str = "<style>
@page { size: A4; margin: 16mm 14mm 18mm; @bottom-center { content: counter(page); font: 9pt serif; } }
.contents { break-after: page; }
.contents p { display: flex; gap: 0.5em; margin: 0.15em 0; }
.contents p span { flex: 1; border-bottom: 1px dotted; margin-bottom: 0.3em; }
.contents .part { margin-top: 0.8em; font-weight: 600; }
</style>";

/// Where a chapter's heading is, in the page of all pages.
const HEADING: &str = "<h1 id=\"";

/// Writes the book into `file`.
///
/// # Errors
/// If the book cannot be built, or a program is missing.
pub fn print(place: &Place, file: &Path) -> Result<(), Vec<Problem>> {
    let book = build::load(place)?;
    let title = book.config.book.title.clone().unwrap_or_default();
    let (pages, _) = pages::pages(&place.root, &book.book);
    let folder = build::build(place)?;
    draw(&folder, &title, &pages, file).map_err(|problem| vec![problem])?;
    output::line(&format!("wrote {}", file.display()));
    Ok(())
}

fn draw(folder: &Path, title: &str, pages: &[Page], file: &Path) -> Result<(), Problem> {
    let text = fs::read_to_string(folder.join("print.html"))
        .map_err(|wrong| Problem::of("print.html", wrong.to_string(), "cargo xtask book build"))?;
    let ids = headings(&text);
    if ids.len() != pages.len() {
        return Err(Problem::of(
            "print.html",
            format!("{} pages have {} titles", pages.len(), ids.len()),
            "give every page one heading with a single #",
        ));
    }
    let mut numbers = HashMap::new();
    for _ in 0..2 {
        let front = format!("{STYLE}<main>{}", contents(title, pages, &ids, &numbers));
        chromium(folder, &text.replacen("<main>", &front, 1), file)?;
        let listed = run(Command::new("pdfinfo").arg("-dests").arg(file)).map_err(|wrong| {
            Problem::of(wrong.file, wrong.what, "this needs Debian's poppler-utils")
        })?;
        numbers = listed.lines().filter_map(destination).collect();
    }
    Ok(())
}

/// The fragments of the chapters, in their order.
fn headings(text: &str) -> Vec<&str> {
    text.split(HEADING).skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The contents, with the page numbers that are known.
fn contents(title: &str, pages: &[Page], ids: &[&str], numbers: &HashMap<String, u32>) -> String {
    let mut out = format!("<section class=\"contents\"><h1>{}</h1>", markup::html(title));
    let mut part = "";
    for (page, id) in pages.iter().zip(ids) {
        if page.part != part {
            part = &page.part;
            let _ = write!(out, "<p class=\"part\">{}</p>", markup::html(part));
        }
        let number = numbers.get(*id).map_or(String::from("000"), ToString::to_string);
        let _ = write!(
            out,
            "<p style=\"padding-inline-start: {}em\"><a href=\"#{id}\">{}</a><span></span>{number}</p>",
            page.depth,
            markup::html(&page.title)
        );
    }
    out + "</section>"
}

/// A line of `pdfinfo -dests`: `  12 [ XYZ   11  776 null      ] "day-1"`.
fn destination(line: &str) -> Option<(String, u32)> {
    let number = line.split_whitespace().next()?.parse().ok()?;
    Some((line.split('"').nth(1)?.to_string(), number))
}

/// Lets Chromium print a page that lies beside the built ones.
fn chromium(folder: &Path, page: &str, file: &Path) -> Result<(), Problem> {
    let beside = folder.join("paper.html");
    let failed = |wrong: std::io::Error| {
        Problem::of("paper.html", wrong.to_string(), "make room in the folder of the built pages")
    };
    fs::write(&beside, page).map_err(failed)?;
    let printed = run(Command::new("chromium")
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"])
        .arg("--generate-pdf-document-outline")
        .arg(format!("--print-to-pdf={}", file.display()))
        .arg(format!("file://{}", beside.display())));
    let _ = fs::remove_file(&beside);
    printed.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chapters_are_found_on_their_sheets() {
        let line = "  12 [ XYZ   11  776 null      ] \"day-1\"";
        assert_eq!(destination(line), Some(("day-1".to_string(), 12)));
        assert_eq!(destination("Page  Destination                 Name"), None);
        let ids = headings("<h1 class=\"menu-title\">x</h1><main><h1 id=\"one\"><a>One</a></h1>");
        assert_eq!(ids, ["one"]);
        let page = Page {
            title: "A & B".into(),
            file: "a.md".into(),
            part: "Days".into(),
            depth: 1,
            minutes: 5,
        };
        let numbers = HashMap::from([("one".to_string(), 12)]);
        let text = contents("Rings", &[page], &ids, &numbers);
        assert!(text.contains("<p class=\"part\">Days</p>"), "{text}");
        assert!(text.contains("<a href=\"#one\">A &amp; B</a><span></span>12</p>"), "{text}");
    }
}
