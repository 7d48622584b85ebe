//! What the run prints: headings, and client and server side by side.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::{Context, Result};
use common::text::{self, WIDTH};

use super::report::{Outcome, Report, Trouble};

/// Width of the client's column, without the margin and the rule between the columns.
const LEFT: usize = 37;
/// Width of the server's column.
const RIGHT: usize = WIDTH - LEFT - 4;

/// Prints the run, in colour or not. The first failure to print silences it.
pub struct Narrator {
    out: Box<dyn Write>,
    colour: bool,
    /// Why nothing more can be printed.
    failed: Option<io::Error>,
    silent: bool,
    /// Whether the last line was empty.
    spaced: bool,
}

impl Narrator {
    /// Prints to the standard output; in colour on a terminal, unless NO_COLOR is set.
    pub fn stdout() -> Narrator {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|value| value == "dumb");
        let out = io::stdout();
        let colour = out.is_terminal() && !plain;
        Narrator::to(Box::new(out), colour)
    }

    /// Prints nothing, for `--json`.
    pub fn silent() -> Narrator {
        Narrator { silent: true, ..Narrator::to(Box::new(io::sink()), false) }
    }

    fn to(out: Box<dyn Write>, colour: bool) -> Narrator {
        Narrator { out, colour, failed: None, silent: false, spaced: false }
    }

    /// Whether nothing more can be printed.
    pub fn is_gone(&self) -> bool {
        self.failed.is_some()
    }

    /// Whether everything could be printed.
    ///
    /// # Errors
    /// If the reader went away, or the disk is full.
    pub fn end(self) -> Result<()> {
        self.failed.map_or(Ok(()), |error| Err(error).context("writing to the standard output"))
    }

    /// Whether nothing is printed anyway.
    pub fn is_silent(&self) -> bool {
        self.silent
    }

    /// Notes that a program printed to the same place.
    pub fn was_interrupted(&mut self) {
        self.spaced = false;
    }

    /// Prints a line as it is.
    pub fn line(&mut self, text: &str) {
        self.print(&format!("{text}\n"));
        self.spaced = text.is_empty();
    }

    /// Prints an empty line, unless there is one already.
    pub fn space(&mut self) {
        if !self.spaced {
            self.line("");
        }
    }

    /// Prints a day's heading: its name and title in a rule, and below it what to look at.
    pub fn heading(&mut self, name: &str, title: &str, look: &str) {
        let line = format!("── {name} · {title} ");
        let rule = "─".repeat(WIDTH.saturating_sub(line.chars().count()));
        let heading = self.paint("1;36", &format!("{line}{rule}"));
        self.space();
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

    /// Prints what the clients do, and beside it what the server reports.
    pub fn exchange(&mut self, client: &str, server: &str) {
        self.line(&side_by_side(client, server));
    }

    /// Prints why a day did not end well.
    pub fn trouble(&mut self, day: &str, trouble: &Trouble) {
        let (code, indent, text) = match trouble {
            Trouble::Refused(words) => ("33", 7, words.clone()),
            Trouble::Failed(failure) => (
                "1;31",
                12,
                format!(
                    "{day} failed at: {}\n  expected: {}\n  got:      {}",
                    failure.during,
                    failure.expected,
                    failure.got.replace('\n', "\n            ")
                ),
            ),
        };
        let painted = self.paint(code, &text::wrap(&text, WIDTH, indent));
        self.space();
        self.line(&painted);
    }

    /// One line for each day, and what to do if one did not run.
    pub fn summary(&mut self, reports: &[Report]) {
        let heading = self.paint("1;36", &format!("── the days {}", "─".repeat(WIDTH - 12)));
        self.space();
        self.line(&heading);
        for report in reports {
            let code = match report.outcome {
                Outcome::Ran { .. } => "32",
                Outcome::Failed(_) => "1;31",
                Outcome::Refused { .. } | Outcome::NotTried { .. } => "33",
            };
            let (status, rest) = verdict(report);
            let line = text::wrap(&format!("{}  {status:<10}  {rest}", report.day), WIDTH, 19);
            // Wrapped plain: escape sequences would count as columns.
            let painted = line.replacen(status, &self.paint(code, status), 1);
            self.line(&painted);
        }
        if let Some(advice) = advice(reports) {
            self.space();
            self.line(&text::wrap(&advice, WIDTH, 0));
        }
    }

    /// Waits for Enter before the day `next`. `false`: the reader stops here (`q`, or the end of the
    /// input).
    pub fn pause(&mut self, next: &str) -> bool {
        if !io::stdin().is_terminal() {
            return true;
        }
        let question = self.paint("1", &format!("Enter for {next}, q to end:"));
        self.print(&format!("\n{question} "));
        let mut answer = String::new();
        let read = io::stdin().lock().read_line(&mut answer);
        matches!(read, Ok(1..)) && !answer.trim().eq_ignore_ascii_case("q")
    }

    fn print(&mut self, text: &str) {
        if self.failed.is_none() {
            let printed = self.out.write_all(text.as_bytes()).and_then(|()| self.out.flush());
            self.failed = printed.err();
        }
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
        Outcome::Refused { reason } => ("cannot run", first_line(report.day, reason)),
        Outcome::Failed(failure) => (
            "FAILED",
            format!(
                "{}: expected {}, got {}",
                failure.during,
                failure.expected,
                failure.got.lines().next().unwrap_or_default()
            ),
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
            "What {day} was asked and what came is printed above. `cargo run -p {day}` runs it alone, \
             `cargo test -p {day}` looks closer."
        )),
        (None, Some(day)) => Some(format!(
            "What {day} needs and this machine does not give is printed above, and what to do about \
             it. Then run `cargo xtask run` again. Until then, `cargo xtask run --recorded` shows \
             recorded runs of the days."
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::super::report::Failure;
    use super::*;

    /// The output of a narrator.
    #[derive(Clone, Default)]
    struct Page(Rc<RefCell<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn narrate(colour: bool, tell: impl FnOnce(&mut Narrator)) -> String {
        let page = Page::default();
        tell(&mut Narrator::to(Box::new(page.clone()), colour));
        let bytes = page.0.take();
        String::from_utf8(bytes).unwrap()
    }

    fn tell_a_day(narrator: &mut Narrator) {
        narrator.heading("day04", "accept, receive, answer, close", "one answer for each request, whatever its size, and an end-of-file after the last, never a reset.");
        narrator.columns("clients", "day04 --reply ack");
        narrator.exchange("sends \"hello\",\nreads \"ack\\0\" and the end", "received \"hello\"");
        narrator.exchange("half-closes without a word", "");
        narrator.exchange(
            "Ctrl-C (SIGINT)",
            "no more clients\n5 connections, 4 requests, 5,268 bytes in, 16 out",
        );
        let failure = Failure::new(
            "the client that sends \"hello\"",
            "\"ack\\0\"",
            "the end-of-file, and day04 ended: exit status 101\nthread 'main' panicked at day04/src/server.rs:1:1",
        );
        narrator.trouble("day04", &failure.into());
    }

    fn reports() -> Vec<Report> {
        let ran =
            Outcome::Ran { facts: "10 clients through 4 slots, each greeted, nobody lost".into() };
        let refused = Outcome::Refused {
            reason: "day02: the kernel refused a sparse table of 8 slots: EINVAL\n  why: it is old\n  try: a newer one".into(),
        };
        let failed = Outcome::Failed(Failure::new(
            "stopping it with SIGINT",
            "exit status 0",
            "exit status 101\nthread 'main' panicked",
        ));
        let not_tried = Outcome::NotTried { reason: "day01 had no ring".into() };
        let dropped = vec!["IORING_SETUP_NO_SQARRAY".to_string()];
        vec![
            Report { day: "day03", outcome: ran, dropped },
            Report { day: "day02", outcome: refused, dropped: vec![] },
            Report { day: "day04", outcome: failed, dropped: vec![] },
            Report { day: "day01", outcome: not_tried, dropped: vec![] },
        ]
    }

    #[test]
    fn a_day_in_two_columns() {
        let page = narrate(false, tell_a_day);
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        insta::assert_snapshot!(page);
    }

    #[test]
    fn what_a_refusal_says_stands_under_its_first_word() {
        let words = "day04: no table of 1024 slots\n  why: the hard RLIMIT_NOFILE of this process \
                     allows 64, and every slot that is registered counts against it";
        let page = narrate(false, |out| out.trouble("day04", &Trouble::Refused(words.into())));
        let last = page.lines().last().unwrap();
        assert!(last.starts_with("       ") && !last.starts_with("        "), "{page}");
    }

    #[test]
    fn a_line_for_each_day() {
        let page = narrate(false, |narrator| narrator.summary(&reports()));
        assert!(page.lines().all(|line| line.chars().count() <= WIDTH), "{page}");
        insta::assert_snapshot!(page);
    }

    #[test]
    fn the_advice_fits_what_happened() {
        let page = narrate(false, |narrator| narrator.summary(&reports()[..2]));
        assert!(page.contains("What day02 needs and this machine does not give"), "{page}");
        let page = narrate(false, |narrator| narrator.summary(&reports()[..1]));
        assert!(!page.contains("Above"), "{page}");
    }

    #[test]
    fn colours_change_nothing_but_the_colour() {
        let tell = |narrator: &mut Narrator| {
            tell_a_day(narrator);
            narrator.summary(&reports());
        };
        let coloured = narrate(true, tell);
        assert!(coloured.contains("\x1b[32mran\x1b[0m"), "{coloured}");
        let mut parts = coloured.split("\x1b[");
        let first = parts.next().unwrap_or_default().to_string();
        let text = parts.fold(first, |text, part| text + part.split_once('m').unwrap().1);
        assert_eq!(text, narrate(false, tell));
    }
}
