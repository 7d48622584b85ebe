//! What the run prints: headings, and client and server side by side.

use std::io::{self, IsTerminal, Write};

use common::text::{self, WIDTH};

use super::report::{Outcome, Report, Trouble};

/// Width of the client's column, without the margin and the rule between the columns.
const LEFT: usize = 37;
/// Width of the server's column.
const RIGHT: usize = WIDTH - LEFT - 4;

/// Prints the run, in colour or not. A reader that went away (`| head`) silences it.
pub struct Narrator {
    out: Box<dyn Write>,
    colour: bool,
    gone: bool,
}

impl Narrator {
    /// Prints to the standard output; in colour on a terminal, unless NO_COLOR is set.
    pub fn stdout() -> Narrator {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let out = io::stdout();
        let colour = out.is_terminal() && !plain;
        Narrator { out: Box::new(out), colour, gone: false }
    }

    /// Says nothing, for `--json`.
    pub fn silent() -> Narrator {
        Narrator { out: Box::new(io::sink()), colour: false, gone: false }
    }

    /// Whether nobody reads any more.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// A line as it is.
    pub fn line(&mut self, text: &str) {
        self.gone |= writeln!(self.out, "{text}").and_then(|()| self.out.flush()).is_err();
    }

    /// A day's heading: its name and title in a rule, and below it what to look at.
    pub fn heading(&mut self, name: &str, title: &str, look: &str) {
        let line = format!("── {name} · {title} ");
        let rule = "─".repeat(WIDTH.saturating_sub(line.chars().count()));
        let heading = self.paint("1;36", &format!("{line}{rule}"));
        self.line("");
        self.line(&heading);
        self.line(&text::wrap(&format!("Look at: {look}"), WIDTH, 9));
        self.line("");
    }

    /// Names the two columns.
    pub fn columns(&mut self, client: &str, server: &str) {
        let heading = side_by_side(client, server);
        let rule = format!("─{}┼{}", "─".repeat(LEFT + 1), "─".repeat(RIGHT + 1));
        let heading = self.paint("1", &heading);
        self.line(&heading);
        self.line(&rule);
    }

    /// What the clients do, and beside it what the server says to that.
    pub fn exchange(&mut self, client: &str, server: &str) {
        self.line(&side_by_side(client, server));
    }

    /// What keeps a day from its end.
    pub fn trouble(&mut self, day: &str, trouble: &Trouble) {
        let (code, text) = match trouble {
            Trouble::Refused(words) => ("33", words.clone()),
            Trouble::Failed(failure) => (
                "1;31",
                format!(
                    "{day} failed, {}\n  expected: {}\n  got:      {}",
                    failure.during, failure.expected, failure.got
                ),
            ),
        };
        let painted = self.paint(code, &text::wrap(&text, WIDTH, 12));
        self.line("");
        self.line(&painted);
    }

    /// One line for each day, and what to do if one did not run.
    pub fn summary(&mut self, reports: &[Report]) {
        let heading = self.paint("1;36", &format!("── the days {}", "─".repeat(WIDTH - 12)));
        self.line("");
        self.line(&heading);
        for report in reports {
            let code = match report.outcome {
                Outcome::Ran { .. } => "32",
                Outcome::Failed(_) => "1;31",
                Outcome::Refused { .. } | Outcome::NotTried { .. } => "33",
            };
            let (status, rest) = verdict(report);
            let line = text::wrap(&format!("{}  {status:<15} {rest}", report.day), WIDTH, 23);
            // Wrapped plain: escape sequences would count as columns.
            let painted = line.replacen(status, &self.paint(code, status), 1);
            self.line(&painted);
        }
        if let Some(advice) = advice(reports) {
            self.line("");
            self.line(&text::wrap(&advice, WIDTH, 0));
        }
    }

    /// Asks for a key, and leaves the cursor behind the question.
    pub fn ask(&mut self, question: &str) {
        let question = self.paint("1", question);
        self.gone |= write!(self.out, "\n{question} ").and_then(|()| self.out.flush()).is_err();
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_string() }
    }
}

/// A day's outcome in a word or two, and the rest of its line.
fn verdict(report: &Report) -> (&'static str, String) {
    match &report.outcome {
        Outcome::Ran { facts } => {
            let without = if report.dropped.is_empty() {
                String::new()
            } else {
                format!(" (this kernel lacks {})", report.dropped.join(", "))
            };
            ("ran", format!("{facts}{without}"))
        }
        Outcome::Refused { reason } => ("cannot run here", first_line(report.day, reason)),
        Outcome::Failed(failure) => (
            "FAILED",
            format!("{}: expected {}, got {}", failure.during, failure.expected, failure.got),
        ),
        Outcome::NotTried { reason } => ("not tried", reason.clone()),
    }
}

/// A refusal's first line, without the program's name: its cause and remedy stand above.
fn first_line(day: &str, reason: &str) -> String {
    let line = reason.lines().next().unwrap_or_default();
    line.strip_prefix(&format!("{day}: ")).unwrap_or(line).to_string()
}

fn advice(reports: &[Report]) -> Option<String> {
    let day = |wanted: fn(&Outcome) -> bool| {
        reports.iter().find(|report| wanted(&report.outcome)).map(|report| report.day)
    };
    let failed = day(|outcome| matches!(outcome, Outcome::Failed(_)));
    let refused = day(|outcome| matches!(outcome, Outcome::Refused { .. }));
    match (failed, refused) {
        (Some(day), _) => Some(format!(
            "Above stands what {day} was asked and what came. `cargo run -p {day}` runs it alone, \
             `cargo test -p {day}` looks closer."
        )),
        (None, Some(day)) => Some(format!(
            "Above stands what {day} needs and this machine does not give: do what follows \
             `try:`, then `cargo xtask run --day {}` again.",
            day.trim_start_matches("day0")
        )),
        (None, None) => None,
    }
}

/// Two texts in two columns, each wrapped, the shorter one padded.
fn side_by_side(left: &str, right: &str) -> String {
    let left = text::wrap(left, LEFT, 2);
    let right = text::wrap(right, RIGHT, 2);
    let (left, right): (Vec<_>, Vec<_>) = (left.lines().collect(), right.lines().collect());
    let rows = (0..left.len().max(right.len())).map(|row| {
        let client = left.get(row).copied().unwrap_or_default();
        let server = right.get(row).copied().unwrap_or_default();
        format!(" {client:<LEFT$} │ {server}").trim_end().to_string()
    });
    rows.collect::<Vec<_>>().join("\n")
}
