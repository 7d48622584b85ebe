//! Compares the output of a run with a transcript.

use std::collections::HashSet;

/// Stands for any number of lines.
const ANY_LINES: &str = "…";

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 2;

/// The difference between a transcript's lines and the printed ones, or `None` if they agree.
pub fn difference(expected: &[String], printed: &[String]) -> Option<String> {
    let costs = Costs::of(expected, printed);
    (costs.at(0, 0) > 0).then(|| text(&costs.walk(), printed))
}

/// Whether a line of a transcript matches a printed line: `⟨words⟩` stands for anything.
fn means(pattern: &str, printed: &str) -> bool {
    let pattern = pattern.trim_end();
    let mut line = printed.trim_end().to_owned();
    if pattern.ends_with('⟩') {
        // The placeholder may stand for nothing, and then the white space before it is missing,
        // too.
        line.push(' ');
    }
    let mut rest = line.as_str();
    let pieces = literals(pattern);
    let Some((last, before)) = pieces.split_last() else { return false };
    for (index, piece) in before.iter().enumerate() {
        let found =
            if index == 0 { rest.starts_with(piece).then_some(0) } else { rest.find(piece) };
        let Some(at) = found else { return false };
        rest = &rest[at + piece.len()..];
    }
    if before.is_empty() { rest == *last } else { rest.ends_with(last) }
}

/// The fixed pieces around the `⟨words⟩` of a line: one more than there are placeholders.
fn literals(pattern: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('⟨') {
        let Some((_, after)) = after.split_once('⟩') else { break };
        pieces.push(before);
        rest = after;
    }
    pieces.push(rest);
    pieces
}

/// The least number of lines that differ, from each pair of lines on.
struct Costs<'t> {
    expected: &'t [String],
    printed: &'t [String],
    /// By row: `expected` from this line, `printed` from that one.
    least: Vec<u32>,
}

/// One step through both.
#[derive(Debug, PartialEq, Eq)]
enum Line<'t> {
    /// The line is as expected.
    Same(&'t str),
    /// The line falls under a `…`.
    Skipped,
    /// The line was expected and not printed.
    Missing(&'t str),
    /// The line was printed and not expected.
    Extra(&'t str),
}

impl<'t> Costs<'t> {
    fn of(expected: &'t [String], printed: &'t [String]) -> Self {
        let width = printed.len() + 1;
        let mut costs = Self { expected, printed, least: vec![0; (expected.len() + 1) * width] };
        for row in (0..=expected.len()).rev() {
            for column in (0..=printed.len()).rev() {
                costs.least[row * width + column] = costs.cost(row, column);
            }
        }
        costs
    }

    fn at(&self, row: usize, column: usize) -> u32 {
        self.least[row * (self.printed.len() + 1) + column]
    }

    fn any_lines(&self, row: usize) -> bool {
        self.expected[row].trim() == ANY_LINES
    }

    fn cost(&self, row: usize, column: usize) -> u32 {
        let (down, right) = (row < self.expected.len(), column < self.printed.len());
        match (down, right) {
            (false, false) => 0,
            (false, true) => 1 + self.at(row, column + 1),
            (true, _) if self.any_lines(row) => {
                let ends = self.at(row + 1, column);
                if right { ends.min(self.at(row, column + 1)) } else { ends }
            }
            (true, false) => 1 + self.at(row + 1, column),
            (true, true) if means(&self.expected[row], &self.printed[column]) => {
                self.at(row + 1, column + 1)
            }
            (true, true) => 1 + self.at(row + 1, column).min(self.at(row, column + 1)),
        }
    }

    /// The way through both with the fewest differences.
    fn walk(&self) -> Vec<Line<'t>> {
        let (mut row, mut column) = (0, 0);
        let mut steps = Vec::new();
        while row < self.expected.len() || column < self.printed.len() {
            let here = self.at(row, column);
            let more = column < self.printed.len();
            if row == self.expected.len() {
                steps.push(Line::Extra(&self.printed[column]));
                column += 1;
            } else if self.any_lines(row) {
                if self.at(row + 1, column) == here {
                    row += 1;
                } else {
                    steps.push(Line::Skipped);
                    column += 1;
                }
            } else if more && means(&self.expected[row], &self.printed[column]) {
                steps.push(Line::Same(&self.printed[column]));
                (row, column) = (row + 1, column + 1);
            } else if here == 1 + self.at(row + 1, column) {
                steps.push(Line::Missing(&self.expected[row]));
                row += 1;
            } else {
                steps.push(Line::Extra(&self.printed[column]));
                column += 1;
            }
        }
        steps
    }
}

/// The differences as text: `-` expected and not printed, `+` printed and not expected.
fn text(steps: &[Line<'_>], printed: &[String]) -> String {
    let differs = |step: &Line<'_>| matches!(step, Line::Missing(_) | Line::Extra(_));
    let near = |at: usize| {
        let from = at.saturating_sub(CONTEXT);
        steps[from..steps.len().min(at + CONTEXT + 1)].iter().any(differs)
    };
    let mut out = String::new();
    let mut left_out = false;
    for (at, step) in steps.iter().enumerate() {
        let line = match step {
            Line::Same(line) if near(at) => format!("  {line}"),
            Line::Extra(line) => format!("+ {line}"),
            Line::Missing(line) => match most_like(line, printed) {
                Some(other) if !steps.contains(&Line::Extra(other)) => {
                    format!("- {line}\n  the printed line most like it:\n+ {other}")
                }
                _ => format!("- {line}"),
            },
            Line::Same(_) | Line::Skipped => {
                if !left_out {
                    out.push_str("  …\n");
                }
                left_out = true;
                continue;
            }
        };
        left_out = false;
        out.push_str(&line);
        out.push('\n');
    }
    out
}

/// The printed line that shares the most words with `line`, if any.
fn most_like<'t>(line: &str, printed: &'t [String]) -> Option<&'t str> {
    let words: HashSet<&str> = line.split_whitespace().collect();
    let shared = |other: &str| {
        other.split_whitespace().filter(|word| words.contains(word)).collect::<HashSet<_>>().len()
    };
    let best = printed.iter().max_by_key(|other| shared(other))?;
    (shared(best) > 0).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    fn diff(expected: &str, printed: &str) -> Option<String> {
        difference(&lines(expected), &lines(printed))
    }

    #[test]
    fn placeholders_stand_for_anything_in_their_line() {
        assert!(means("Linux ⟨release⟩ on ⟨n⟩ CPUs", "Linux 6.18 on 2 CPUs"));
        assert!(means("⟨all⟩", "") && means("⟨all⟩", "x"));
        assert!(means("a ⟨x⟩", "a  "), "white space at the end does not count");
        assert!(!means("Linux ⟨release⟩ on ⟨n⟩ CPUs", "Linux 6.18 on 2 cpus"));
        assert!(!means("ab⟨x⟩ba", "aba"), "the pieces do not overlap");
        assert!(!means("ack", "nack") && !means("ack", "acks"));
    }

    #[test]
    fn agreement_is_no_difference() {
        assert_eq!(diff("a\n…\nb", "a\nx\ny\nb"), None);
        assert_eq!(diff("a\n…\nb", "a\nb"), None);
        assert_eq!(diff("…\nb\n…", "b\nb\nc"), None);
        assert_eq!(diff("", ""), None);
    }

    #[test]
    fn differences_are_told() {
        assert_eq!(diff("a\nb", "a\nc").unwrap(), "  a\n- b\n+ c\n");
        assert_eq!(diff("a", "a\nb").unwrap(), "  a\n+ b\n");
        assert_eq!(diff("a\nb", "a").unwrap(), "  a\n- b\n");
        assert_eq!(
            diff("…\nslot 0 free\n…", "one\nslot 1 free\ntwo").unwrap(),
            "- slot 0 free\n  the printed line most like it:\n+ slot 1 free\n  …\n"
        );
    }
}
