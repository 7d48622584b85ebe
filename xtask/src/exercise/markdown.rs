//! The little Markdown of briefs and hints, for a terminal: at most 80 columns.

use common::text::{WIDTH, wrap};

use super::verdict::Paint;

/// A text as lines. Code keeps its own; paragraphs and lists are folded anew.
pub fn page(text: &str, paint: Paint) -> String {
    let mut page = Page { lines: Vec::new(), paragraph: String::new(), indent: 0, paint };
    let mut fenced = false;
    for line in text.lines() {
        let bare = line.trim();
        if bare.starts_with("```") {
            page.end();
            fenced = !fenced;
        } else if fenced || (page.paragraph.is_empty() && line.starts_with("    ")) {
            page.code(line, fenced);
        } else if let Some(heading) = heading(bare) {
            page.end();
            page.lines.push(paint.strong(heading));
        } else if bare.is_empty() {
            page.end();
            page.gap();
        } else if let Some(indent) = item(line) {
            page.end();
            page.indent = indent;
            page.paragraph = line.trim_end().to_string();
        } else {
            page.go_on(line);
        }
    }
    page.end();
    while page.lines.last().is_some_and(String::is_empty) {
        page.lines.pop();
    }
    page.lines.join("\n")
}

/// A heading without its marks, of any level.
fn heading(line: &str) -> Option<&str> {
    let rest = line.trim_start_matches('#');
    (rest.len() < line.len()).then(|| rest.strip_prefix(' ')).flatten()
}

/// How far the lines after the first of a list's item are indented.
fn item(line: &str) -> Option<usize> {
    let bare = line.trim_start();
    let before = line.len() - bare.len();
    let (mark, _) = bare.split_once(' ')?;
    let number = mark.strip_suffix('.').is_some_and(|digits| digits.parse::<u32>().is_ok());
    (number || mark == "-" || mark == "*").then_some(before + mark.len() + 1)
}

struct Page {
    lines: Vec<String>,
    paragraph: String,
    indent: usize,
    paint: Paint,
}

impl Page {
    fn go_on(&mut self, line: &str) {
        if self.paragraph.is_empty() {
            self.indent = 0;
        } else {
            self.paragraph.push(' ');
        }
        self.paragraph.push_str(if self.paragraph.is_empty() { line } else { line.trim() });
    }

    fn end(&mut self) {
        if !self.paragraph.is_empty() {
            let folded = wrap(&std::mem::take(&mut self.paragraph), WIDTH, self.indent);
            self.lines.extend(folded.lines().map(str::to_string));
        }
    }

    fn gap(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn code(&mut self, line: &str, fenced: bool) {
        let indent = if fenced { "    " } else { "" };
        self.lines.push(self.paint.dim(&format!("{indent}{line}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paragraphs_are_folded_and_code_is_not() {
        let long = "word ".repeat(20);
        let text = format!("# Title\n\n{long}\n{long}\n\n- one\n  two\n\n    let x = 1;\n");
        let page = page(&text, Paint::default());
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[0], "Title");
        assert!(lines.iter().all(|line| line.chars().count() <= WIDTH), "{page}");
        assert!(page.ends_with("\n- one two\n\n    let x = 1;"), "{page}");
    }

    #[test]
    fn a_fence_is_left_out_and_its_lines_are_kept() {
        assert_eq!(page("a\n```rust\nb  c\n```\nd", Paint::default()), "a\n    b  c\nd");
    }
}
