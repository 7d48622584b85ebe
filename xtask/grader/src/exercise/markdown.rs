//! Shows the Markdown of briefs and hints on a terminal.

use common::text::wrap;

use super::paint::Paint;

/// A text as lines of at most `width` columns. Code keeps its lines; paragraphs and lists are
/// wrapped again.
pub fn page(text: &str, width: usize, paint: Paint) -> String {
    let mut page = Page { lines: Vec::new(), paragraph: String::new(), indent: 0, width, paint };
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

/// The indent of the lines after the first one of a list's item.
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
    width: usize,
    paint: Paint,
}

/// Marks the beginning and the end of bold text until the lines are wrapped.
const BOLD: char = '\x01';

/// Text without the marks of emphasis and links: [`BOLD`] stands for `**`. Code keeps its stars.
fn inline(text: &str) -> String {
    let mut plain = String::new();
    for (nth, part) in text.split('`').enumerate() {
        if nth > 0 {
            plain.push('`');
        }
        if nth % 2 == 1 {
            plain.push_str(part);
            continue;
        }
        let part = without_links(part).replace("**", &BOLD.to_string());
        let mut before = ' ';
        let mut letters = part.chars().peekable();
        while let Some(letter) = letters.next() {
            // A star between spaces is an item's mark, or a multiplication.
            let alone = before == ' ' && letters.peek().is_none_or(|next| *next == ' ');
            if letter != '*' || alone {
                plain.push(letter);
            }
            before = letter;
        }
    }
    plain
}

/// `[words](place)` as its words.
fn without_links(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('[') {
        let link = after.split_once("](").and_then(|(words, place)| {
            let (_, after) = place.split_once(')')?;
            (!words.contains('[')).then_some((words, after))
        });
        let (words, after) = link.unwrap_or(("[", after));
        plain.push_str(before);
        plain.push_str(words);
        rest = after;
    }
    plain + rest
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
            let text = inline(&std::mem::take(&mut self.paragraph));
            let mut bold = false;
            for line in wrap(&text, self.width, self.indent).lines() {
                self.lines.push(self.bold(line, &mut bold));
            }
        }
    }

    /// A line in which every second part is bold. Bold text at its end continues in the next line.
    fn bold(&self, line: &str, bold: &mut bool) -> String {
        let mut painted = String::new();
        for (nth, part) in line.split(BOLD).enumerate() {
            *bold ^= nth > 0;
            let strong = *bold && !part.trim().is_empty();
            painted.push_str(&if strong { self.paint.strong(part) } else { part.to_string() });
        }
        painted
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

    const PLAIN: Paint = Paint { colour: false };

    #[test]
    fn paragraphs_are_folded_and_code_is_not() {
        let long = "word ".repeat(20);
        let text = format!("# Title\n\n{long}\n{long}\n\n- one\n  two\n\n    let x = 1;\n");
        let page = page(&text, 60, PLAIN);
        let lines: Vec<&str> = page.lines().collect();
        assert_eq!(lines[0], "Title");
        assert!(lines.iter().all(|line| line.chars().count() <= 60), "{page}");
        assert!(page.ends_with("\n- one two\n\n    let x = 1;"), "{page}");
    }

    #[test]
    fn a_fence_is_left_out_and_its_lines_are_kept() {
        assert_eq!(page("a\n```rust\nb  c\n```\nd", 80, PLAIN), "a\n    b  c\nd");
    }

    #[test]
    fn emphasis_and_links_lose_their_marks_and_code_keeps_its_stars() {
        let text = "- **Push.** A *multishot*, `a * b` and `*p`, 2 * 3, [day 3](day3.html#x)[0].";
        let plain = "- Push. A multishot, `a * b` and `*p`, 2 * 3, day 3[0].";
        assert_eq!(page(text, 80, PLAIN), plain);
        let colour = Paint { colour: true };
        assert_eq!(page("**Accepted when** all", 80, colour), "\x1b[1mAccepted when\x1b[0m all");
        // Bold ends with each line, so that it does not affect the text drawn below.
        assert_eq!(page("**a b**", 3, colour), "\x1b[1ma\x1b[0m\n\x1b[1mb\x1b[0m");
    }
}
