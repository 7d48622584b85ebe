//! Transcripts: commands and their output.
//!
//! `book/transcripts/NAME.txt` holds commands, each a line that begins with `$ `, with the output
//! expected below it. A line `…` stands for any number of lines, `⟨words⟩` for anything within its
//! line; `⟨=16⟩` does too, and is shown as 16, which one run printed. A command that ends in `&` runs
//! in the background. Lines at the top that begin with `# ` are not shown; `# needs: 6.1` is the
//! lowest kernel whose output this is.

pub mod compare;
pub mod run;
mod running;

use common::catalog::Kernel;

use crate::problem::Complaint;

/// One command of a transcript.
#[derive(Debug, PartialEq, Eq)]
pub struct Command {
    /// Its line in the file, from 1.
    pub line: usize,
    /// The shell's command, without the `&`.
    pub text: String,
    /// Whether it runs in the background.
    pub background: bool,
    /// Its expected output.
    pub expected: Vec<String>,
}

/// A transcript file, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Transcript {
    /// The lowest kernel whose output this is.
    pub needs: Option<Kernel>,
    /// In the order of the file; at least one.
    pub commands: Vec<Command>,
    /// The text for the reader.
    pub shown: String,
}

impl Transcript {
    /// Reads a transcript. A mistake is returned with its line.
    pub fn parse(text: &str) -> Result<Self, (usize, Complaint)> {
        let mut needs = None;
        let mut commands: Vec<Command> = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let number = index + 1;
            if let Some(command) = line.strip_prefix("$ ") {
                commands.push(self::command(number, command));
            } else if let Some(last) = commands.last_mut() {
                last.expected.push(line.trim_end().to_owned());
            } else if let Some(note) = line.strip_prefix("# ") {
                if let Some(release) = note.strip_prefix("needs:") {
                    needs = Some(self::release(release).map_err(|wrong| (number, wrong))?);
                }
                continue;
            } else {
                return Err((
                    number,
                    Complaint::new(
                        "output without a command above it",
                        "begin the transcript with `$ ` and the command that prints it",
                    ),
                ));
            }
        }
        if commands.is_empty() {
            return Err((
                1,
                Complaint::new(
                    "a transcript without a command",
                    "begin it with `$ ` and the command that prints the rest",
                ),
            ));
        }
        for command in &mut commands {
            while command.expected.last().is_some_and(|line| line.is_empty()) {
                command.expected.pop();
            }
        }
        let shown = shown(&commands);
        Ok(Self { needs, commands, shown })
    }

    /// The file's text `old` with new outputs below its commands.
    pub fn with_outputs(&self, old: &str, outputs: &[Vec<String>]) -> String {
        let first = self.commands.first().map_or(0, |command| command.line - 1);
        let mut out: String = old.lines().take(first).map(|line| format!("{line}\n")).collect();
        for (command, output) in self.commands.iter().zip(outputs) {
            let background = if command.background { " &" } else { "" };
            out.push_str(&format!("$ {}{background}\n", command.text));
            out.extend(output.iter().map(|line| format!("{line}\n")));
        }
        out
    }

    /// The one line of output that contains `text`.
    pub fn line_with(&self, text: &str) -> Result<String, Complaint> {
        let lines: Vec<&str> = self
            .commands
            .iter()
            .flat_map(|command| &command.expected)
            .filter(|line| line.contains(text))
            .map(|line| untimed(line.trim()))
            .collect();
        match lines.as_slice() {
            [line] => Ok(example(line)),
            [] => Err(Complaint::new(
                format!("no line of the transcript's output contains \"{text}\""),
                "quote words that a run printed; the transcript has them",
            )),
            many => Err(Complaint::new(
                format!("{} lines of the transcript's output contain \"{text}\"", many.len()),
                format!("quote more of the line:\n{}", many.join("\n")),
            )),
        }
    }
}

/// The text for the reader, in the order of time: what a server prints after it listens comes below
/// its clients' commands.
fn shown(commands: &[Command]) -> String {
    let mut lines: Vec<String> = Vec::new();
    let mut later = Vec::new();
    for command in commands {
        lines.push(format!("$ {}{}", command.text, if command.background { " &" } else { "" }));
        let printed = &command.expected;
        let until = match printed.iter().position(|line| line.contains(running::READY)) {
            _ if !command.background => printed.len(),
            Some(ready) => ready + 1,
            None => printed.iter().take_while(|line| *line == "…").count(),
        };
        lines.extend(printed[..until].iter().map(|line| example(line)));
        later.extend(printed[until..].iter().map(|line| example(line)));
    }
    if later.iter().any(|line| line != "…") {
        lines.append(&mut later);
    }
    lines.dedup_by(|line, before| line == "…" && before == "…");
    lines.join("\n").trim_end().to_owned() + "\n"
}

/// A line without its first placeholder, such as the tracer's `⟨seconds⟩`.
fn untimed(line: &str) -> &str {
    let rest = line.strip_prefix("⟨seconds").and_then(|it| it.split_once("⟩ "));
    rest.map_or(line, |(_, rest)| rest.trim_start())
}

/// A line with the examples in place of `⟨=16⟩`.
fn example(line: &str) -> String {
    let mut out = String::new();
    let mut pieces = line.split("⟨=");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (value, rest) = piece.split_once('⟩').unwrap_or((piece, ""));
        out.push_str(value);
        out.push_str(rest);
    }
    out
}

/// The command of a line that began with `$ `.
fn command(line: usize, text: &str) -> Command {
    let text = text.trim();
    let (text, background) = match text.strip_suffix('&') {
        Some(text) if !text.ends_with('&') => (text.trim_end(), true),
        _ => (text, false),
    };
    Command { line, text: text.to_owned(), background, expected: Vec::new() }
}

/// A kernel release such as `6.1`.
fn release(text: &str) -> Result<Kernel, Complaint> {
    Kernel::parse(text.trim()).ok_or_else(|| {
        Complaint::new(
            format!("`{}` is not a kernel release", text.trim()),
            "write two numbers, as in `# needs: 6.1`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "\
# needs: 6.1
# a note
$ cargo run -p day04 -- --max 1 &
listening on 127.0.0.1:4242
…
$ echo hello | nc 127.0.0.1 4242 && true
ack

";

    #[test]
    fn commands_and_their_output() {
        let transcript = Transcript::parse(TWO).unwrap();
        assert_eq!(transcript.needs, Kernel::parse("6.1"));
        let [server, client] = transcript.commands.as_slice() else { panic!("{transcript:?}") };
        assert_eq!((server.line, server.background), (3, true));
        assert_eq!(server.text, "cargo run -p day04 -- --max 1");
        assert_eq!(server.expected, ["listening on 127.0.0.1:4242", "…"]);
        assert_eq!((client.line, client.background), (6, false));
        assert_eq!(client.expected, ["ack"]);
        assert!(transcript.shown.starts_with("$ cargo run"), "{}", transcript.shown);
        assert!(transcript.shown.ends_with("\nack\n"), "{}", transcript.shown);
    }

    #[test]
    fn what_is_shown_is_in_the_order_of_time() {
        let text = "$ serve &\nlistening on 1\n\n⟨=3⟩ clients\n$ call\nack\n";
        let transcript = Transcript::parse(text).unwrap();
        assert_eq!(transcript.shown, "$ serve &\nlistening on 1\n$ call\nack\n\n3 clients\n");
        assert_eq!(transcript.line_with("clients").unwrap(), "3 clients");
        let timed = Transcript::parse("$ a\n⟨seconds⟩    ← 2  NOP\n").unwrap();
        assert_eq!(timed.line_with("NOP").unwrap(), "← 2  NOP");
        let traced = Transcript::parse("$ trace &\n…\none\n$ call\n…\n").unwrap();
        assert_eq!(traced.shown, "$ trace &\n…\n$ call\n…\none\n");
    }

    #[test]
    fn new_outputs_replace_the_old() {
        let transcript = Transcript::parse(TWO).unwrap();
        let outputs = [vec!["one".to_owned()], vec!["two".to_owned(), "three".to_owned()]];
        assert_eq!(
            transcript.with_outputs(TWO, &outputs),
            "# needs: 6.1\n# a note\n$ cargo run -p day04 -- --max 1 &\none\n\
             $ echo hello | nc 127.0.0.1 4242 && true\ntwo\nthree\n"
        );
    }

    #[test]
    fn a_quote_is_one_line() {
        let transcript = Transcript::parse("$ a\n  one two\none three\n").unwrap();
        assert_eq!(transcript.line_with("two").unwrap(), "one two");
        assert_eq!(transcript.line_with("  one").unwrap(), "one two");
        assert!(transcript.line_with("four").unwrap_err().what.contains("no line"));
        let several = transcript.line_with("one").unwrap_err();
        assert!(several.what.starts_with("2 lines"), "{several:?}");
        assert!(several.remedy.contains("one three"), "{several:?}");
    }

    #[test]
    fn what_is_wrong_has_its_line() {
        assert_eq!(Transcript::parse("# note\nhello\n").unwrap_err().0, 2);
        assert_eq!(Transcript::parse("").unwrap_err().1.what, "a transcript without a command");
        let wrong = Transcript::parse("# needs: six\n$ a\n").unwrap_err();
        assert_eq!(wrong.1.what, "`six` is not a kernel release");
    }
}
