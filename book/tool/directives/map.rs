//! `{{#map}}`: all pages with their minutes. `theme/progress.js` marks the pages that were read.

use std::fmt::Write as _;

use crate::markup;
use crate::pages::Page;

/// `{{#map}}`.
pub fn directive(pages: &[Page]) -> String {
    let mut out = String::from("<div class=\"map\">\n\n| page | minutes |\n|---|--:|\n");
    let mut part = "";
    for page in pages {
        if page.part != part {
            part = &page.part;
            let _ = writeln!(out, "| **{}** | |", markup::plain(part));
        }
        let minutes = match page.minutes {
            0 => String::new(),
            minutes => minutes.to_string(),
        };
        let _ = writeln!(out, "| [{}]({}) | {minutes} |", markup::plain(&page.title), page.file);
    }
    out + "\n</div>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_has_a_line() {
        let page = |title: &str, part: &str, minutes| Page {
            title: title.into(),
            file: "a.md".into(),
            part: part.into(),
            depth: 0,
            minutes,
        };
        let map = directive(&[page("One", "", 5), page("Two", "Days", 0)]);
        assert!(map.contains("| [One](a.md) | 5 |\n| **Days** | |\n| [Two](a.md) |  |\n"), "{map}");
    }
}
