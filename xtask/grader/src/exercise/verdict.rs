//! The verdict of a check, for people and for scripts.

use std::fmt::Write as _;
use std::io::IsTerminal;

use common::text::{WIDTH, wrap};
use serde_json::{Value, json};

use super::cost::{Cost, Measured};
use super::exercises::Exercise;
use super::failure::{Failure, Passed};
use super::ids;

/// The verdict of a check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The program passes.
    Passed(Passed),
    /// The program fails, or cannot be observed.
    Failed(Failure),
    /// The program does not compile. Has the compiler's messages.
    NotCompiled(String),
}

impl Verdict {
    /// The verdict for the result of a check.
    pub fn of(answer: Result<Passed, Failure>) -> Verdict {
        match answer {
            Ok(passed) => Verdict::Passed(passed),
            Err(failure) => Verdict::Failed(failure.shortened()),
        }
    }

    /// Whether the exercise is done.
    pub fn passed(&self) -> bool {
        matches!(self, Verdict::Passed(_))
    }

    /// The id's name; `passed` if it did not fail.
    pub fn id(&self) -> &'static str {
        match self {
            Verdict::Passed(_) => "passed",
            Verdict::Failed(failure) => failure.id.name,
            Verdict::NotCompiled(_) => ids::COMPILE.name,
        }
    }

    /// The cost of a passing program, if it was measured.
    pub fn cost(&self) -> Option<Cost> {
        self.measured().map(|measured| measured.cost)
    }

    /// How a passing program compares with the solution, in one line.
    pub fn standing(&self, exercise: &Exercise) -> Option<String> {
        Some(exercise.about.par.as_ref()?.standing(self.cost()?))
    }

    /// The needless work of a passing program, one sentence each.
    pub fn remarks(&self) -> &[String] {
        self.measured().map_or(&[], |measured| &measured.remarks)
    }

    fn measured(&self) -> Option<&Measured> {
        match self {
            Verdict::Passed(passed) => passed.measured.as_ref(),
            _ => None,
        }
    }

    /// The verdict in one or two words.
    pub fn word(&self) -> &'static str {
        match self {
            Verdict::Passed(_) => "passed",
            Verdict::Failed(failure) if failure.is_not_observed() => "not observed",
            Verdict::Failed(_) => "failed",
            Verdict::NotCompiled(_) => "does not compile",
        }
    }

    /// The verdict as a JSON object, for scripts.
    pub fn json(&self, exercise: &Exercise) -> Value {
        let mut object = json!({
            "exercise": exercise.name,
            "day": exercise.day,
            "verdict": self.word(),
        });
        match self {
            Verdict::Passed(passed) => {
                object["note"] = json!(passed.note);
                object["par"] = json!(exercise.about.par);
                object["cost"] = json!(self.cost());
                object["standing"] = json!(self.standing(exercise));
                object["remarks"] = json!(self.remarks());
            }
            Verdict::Failed(failure) => {
                object["id"] = json!(failure.id.name);
                object["client"] = json!(failure.client);
                object["kernel"] = json!(failure.kernel);
                object["rule"] = json!(failure.rule);
                object["book"] = json!(book(exercise, failure));
            }
            Verdict::NotCompiled(words) => {
                object["id"] = json!(ids::COMPILE.name);
                object["compiler"] = json!(without_colours(words));
            }
        }
        object
    }

    /// The verdict for people, in at most 80 columns.
    pub fn text(&self, exercise: &Exercise, paint: Paint) -> String {
        self.text_within(WIDTH, exercise, paint)
    }

    /// The verdict for people, in lines of at most `width` columns, except the compiler's messages.
    pub fn text_within(&self, width: usize, exercise: &Exercise, paint: Paint) -> String {
        let name = &exercise.name;
        let mut page = String::new();
        match self {
            Verdict::Passed(passed) => {
                let _ = writeln!(page, "{name}: {}", paint.good("passed"));
                let remarks = self.remarks().iter().map(|it| format!("Beside the point: {it}"));
                let lines = [passed.note.clone()].into_iter().chain(self.standing(exercise));
                for line in lines.chain(remarks).filter(|line| !line.is_empty()) {
                    let _ = writeln!(page, "{}", wrap(&format!("  {line}"), width, 2));
                }
            }
            Verdict::Failed(failure) if failure.is_not_observed() => {
                let _ = writeln!(page, "{name}: {}", paint.doubt("not observed"));
                let _ = writeln!(page, "{}", wrap(&format!("  {}", failure.rule), width, 2));
            }
            Verdict::Failed(failure) => {
                let _ = writeln!(page, "{name}: {} ({})", paint.bad("not yet"), failure.id);
                page.push('\n');
                part(
                    &mut page,
                    width,
                    paint,
                    "What happened",
                    std::slice::from_ref(&failure.client),
                );
                part(&mut page, width, paint, "What the kernel recorded", &failure.kernel);
                let rule = match failure.rule.is_empty() {
                    true => format!("Not as asked: {}.", failure.id.meaning()),
                    false => failure.rule.clone(),
                };
                part(&mut page, width, paint, "The rule", &[rule]);
                part(
                    &mut page,
                    width,
                    paint,
                    "In the book",
                    &[book(exercise, failure).to_string()],
                );
            }
            Verdict::NotCompiled(words) => {
                let _ = writeln!(page, "{}", printable(words, paint.colour).trim_end());
                // Messages of Cargo and the compiler about a missing crate.
                if ["unlinked crate", "`cargo add", "--offline"].iter().any(|it| words.contains(it))
                {
                    let hint = "Add a crate of your own to workbook/Cargo.toml: in the folder \
                                workbook, type `cargo add NAME` and `cargo fetch`.";
                    let _ = writeln!(page, "\n{}", wrap(hint, width, 0));
                }
                page.push('\n');
                let _ =
                    writeln!(page, "{name}: {} ({})", paint.bad("does not compile"), ids::COMPILE);
            }
        }
        page
    }
}

/// One of the four parts. The lines keep their indents.
fn part(page: &mut String, width: usize, paint: Paint, title: &str, lines: &[String]) {
    let _ = writeln!(page, "  {}", paint.strong(title));
    for line in lines.iter().filter(|line| !line.is_empty()) {
        let indent = 4 + line.len() - line.trim_start().len();
        // A line may quote the program's output.
        let line = printable(line, false);
        let _ = writeln!(page, "{}", wrap(&format!("    {line}"), width, indent));
    }
}

/// The compiler colours its messages for a terminal.
fn without_colours(text: &str) -> String {
    printable(text, false)
}

/// Makes a text safe for a terminal: writes control characters other than newlines as escapes.
/// Colours are kept or removed.
pub fn printable(text: &str, colours: bool) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(letter) = rest.chars().next() {
        let (token, after) = rest.split_at(colour(rest).unwrap_or(letter.len_utf8()));
        rest = after;
        match letter {
            '\x1b' if token.len() > 1 && colours => plain.push_str(token),
            '\x1b' if token.len() > 1 => {}
            '\n' | '\t' => plain.push(letter),
            letter if letter.is_control() => plain.extend(letter.escape_default()),
            letter => plain.push(letter),
        }
    }
    plain
}

/// The length of the colour code at the beginning of a text: `ESC [`, digits and semicolons, `m`.
fn colour(text: &str) -> Option<usize> {
    let rest = text.strip_prefix("\x1b[")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit() && letter != ';')?;
    rest[end..].starts_with('m').then_some(2 + end + 1)
}

fn book<'a>(exercise: &'a Exercise, failure: &'a Failure) -> &'a str {
    failure.book.as_deref().unwrap_or(&exercise.about.book)
}

/// Whether to use colours, and their codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint {
    /// Whether there are any.
    pub colour: bool,
}

impl Paint {
    /// With colours on a terminal, unless `NO_COLOR` is set.
    pub fn for_stdout() -> Paint {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        Paint { colour: std::io::stdout().is_terminal() && !plain && !dumb }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }

    /// Green.
    pub fn good(self, text: &str) -> String {
        self.with("32", text)
    }

    /// Red.
    pub fn bad(self, text: &str) -> String {
        self.with("31", text)
    }

    /// Yellow.
    pub fn doubt(self, text: &str) -> String {
        self.with("33", text)
    }

    /// Bold.
    pub fn strong(self, text: &str) -> String {
        self.with("1", text)
    }

    /// Faint.
    pub fn dim(self, text: &str) -> String {
        self.with("2", text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_prints_cannot_move_the_cursor() {
        let text = "\x1b[31mred\x1b[0m \x1b[2Jgone \x1b]0;title\x07\r\u{9b}2J\nnext";
        let plain = r"red \u{1b}[2Jgone \u{1b}]0;title\u{7}\r\u{9b}2J".to_string() + "\nnext";
        assert_eq!(printable(text, false), plain);
        assert_eq!(printable(text, true), plain.replace("red", "\x1b[31mred\x1b[0m"));
    }
}
