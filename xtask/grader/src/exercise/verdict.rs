//! The verdict of a check, for people and for scripts.

use std::fmt::Write as _;

use common::text::{WIDTH, wrap};
use serde_json::{Value, json};

use super::cost::{Cost, Measured};
use super::exercises::Exercise;
use super::failure::{Failure, Passed};
use super::ids;
use super::paint::{Paint, printable};

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

fn book<'a>(exercise: &'a Exercise, failure: &'a Failure) -> &'a str {
    failure.book.as_deref().unwrap_or(&exercise.about.book)
}
