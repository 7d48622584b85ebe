//! The teacher's notes of a page, for the presenter's view (`theme/present.js`): the section of the
//! page *Teaching* with the page's name.

use mdbook_preprocessor::book::Book;
use pulldown_cmark::{Options, Parser, html};

use crate::markup;

/// The page that has the notes.
const TEACHING: &str = "teaching.md";

/// Adds the notes at the end of each page that has some, hidden from readers.
pub fn attach(book: &mut Book) {
    let teaching = book.chapters().find(|chapter| {
        chapter.source_path.as_ref().is_some_and(|path| path.to_str() == Some(TEACHING))
    });
    let Some(text) = teaching.map(|chapter| chapter.content.clone()) else { return };
    book.for_each_chapter_mut(|chapter| {
        if let Some(notes) = notes(&text, &chapter.name) {
            chapter.content.push_str(&format!("\n\n{}\n", hidden(notes)));
        }
    });
}

/// The section for `Day 1: a greeting` has the heading `Day 1`, or the whole title.
fn notes<'t>(text: &'t str, title: &str) -> Option<&'t str> {
    let mut sections = text.split("\n## ").skip(1).filter_map(|it| it.split_once('\n'));
    let name = title.split(':').next().unwrap_or(title);
    sections.find(|(heading, _)| *heading == title || *heading == name).map(|(_, body)| body)
}

/// The notes as HTML within a script element for data.
fn hidden(notes: &str) -> String {
    let mut out = String::new();
    html::push_html(&mut out, Parser::new_ext(notes, Options::ENABLE_DEFINITION_LIST));
    let json = serde_json::Value::from(out.replace(".md", ".html")).to_string();
    let json = markup::json_in_script(&json);
    format!("<script type=\"application/json\" class=\"teacher-notes\">{json}</script>")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Teaching\n\n## Day 1\n\n**Ask.** Why?\n: Because.\n\n## Links and drains\n\nDemo.\n";

    #[test]
    fn a_page_has_the_notes_under_its_name() {
        assert!(notes(TEXT, "Day 1: a greeting").is_some_and(|it| it.contains("Because")));
        assert_eq!(notes(TEXT, "Links and drains").map(str::trim), Some("Demo."));
        assert_eq!(notes(TEXT, "Day 2: asked"), None);
        let hidden = hidden("A [link](day1.md).");
        assert!(hidden.contains("day1.html") && hidden.matches("</").count() == 1, "{hidden}");
    }

    #[test]
    fn every_day_and_every_chapter_has_notes() {
        let (summary, teaching) =
            (include_str!("../src/SUMMARY.md"), include_str!("../src/teaching.md"));
        for part in ["# The four days\n", "# After the journal\n"] {
            let (_, pages) = summary.split_once(part).expect(part);
            let pages = pages.split("\n# ").next().unwrap_or_default();
            for line in pages.lines().filter_map(|line| line.split_once('[')) {
                let title = line.1.split(']').next().unwrap_or_default();
                assert!(notes(teaching, title).is_some(), "{title}");
            }
        }
    }
}
