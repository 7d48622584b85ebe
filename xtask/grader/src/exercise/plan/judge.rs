//! Compares the record of a run with the plan.

use std::fs;

use super::entries::Asked;
use super::{Exit, Operations, Output, PlannedRun, Values};
use crate::exercise::checks::written;
use crate::exercise::cost::Cost;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::{Record, quoted};
use ringtrace::event::What;

/// Compares everything, causes of mistakes before their consequences.
pub fn judge(run: &PlannedRun, record: &Record, values: &Values) -> Result<(), Failure> {
    let otherwise = |words: &Option<String>| words.as_ref().map(|words| values.fill(words));
    if run.exit.failure {
        need_failure(&run.exit, record, values)?;
    } else {
        record.need_ring()?;
        record.need_exit().map_err(|failure| instead(failure, otherwise(&run.exit.otherwise)))?;
        record.need_all_submitted()?;
    }
    for entries in &run.entries {
        let asked = Asked::new(entries, &run.entries, values);
        asked.need(record).map_err(|failure| instead(failure, otherwise(&entries.otherwise)))?;
    }
    if !run.exit.failure {
        record.need_all_reaped()?;
    }
    if let Some(wanted) = &run.enters {
        need_enters(record, wanted.at_most)
            .map_err(|failure| instead(failure, otherwise(&wanted.otherwise)))?;
    }
    if let Some(output) = &run.output {
        need_output(output, record, values).map_err(|failure| match failure.id {
            ids::OUTPUT => instead(failure, otherwise(&output.otherwise)),
            // The words may be right, but printed too early or by a system call; the plan's own
            // sentence does not fit then.
            _ => failure,
        })?;
    }
    for (name, file) in &run.files {
        if let Some(after) = &file.after {
            need_file(record, values, name, &values.fill(after))
                .map_err(|failure| instead(failure, otherwise(&file.otherwise)))?;
        }
    }
    Ok(())
}

/// The failure with the plan's own sentence, if it has one.
fn instead(failure: Failure, otherwise: Option<String>) -> Failure {
    match otherwise {
        Some(words) if !failure.is_not_observed() => failure.rule(words),
        _ => failure,
    }
}

fn need_failure(exit: &Exit, record: &Record, values: &Values) -> Result<(), Failure> {
    match record.status {
        Some(0) => {
            let of_entries = |what: &What| matches!(what, What::Submit(_) | What::Complete(_));
            let mut kernel = record.last_lines(of_entries);
            kernel.push("exit status 0".to_string());
            let rule = exit.otherwise.as_ref().map_or_else(
                || {
                    "An operation failed, and the program ended with status 0. End with another \
                     status."
                        .to_string()
                },
                |words| values.fill(words),
            );
            Err(record.fail(ids::RESULT).kernel(kernel).rule(rule))
        }
        // A signal is not an exit status.
        Some(status) if status <= 128 => Ok(()),
        _ => record.need_exit(),
    }
}

fn need_enters(record: &Record, at_most: u64) -> Result<(), Failure> {
    let calls = Cost::of(record).enters;
    if calls <= at_most {
        return Ok(());
    }
    let mut kernel = record.lines(|what| matches!(what, What::Enter(_)));
    kernel.push(format!("calls of io_uring_enter: {calls}"));
    Err(record.fail(ids::ENTERS).kernel(kernel).rule(format!(
        "The program called io_uring_enter {calls} times; at most {at_most} are allowed. One call \
         submits all entries in the submission queue, and can also wait."
    )))
}

fn need_output(output: &Output, record: &Record, values: &Values) -> Result<(), Failure> {
    if let Some(exactly) = &output.exactly {
        let wanted = values.fill(exactly);
        if output.through_ring {
            written::need_line_through_ring(record, &wanted)?;
        } else if record.stdout != wanted {
            return Err(wrong_output(
                record,
                format!("Print {}, and nothing else.", quoted(&wanted)),
            ));
        }
    }
    let expand = |texts: &[String]| -> Vec<String> {
        texts.iter().flat_map(|words| values.expand(words)).collect()
    };
    let (lines, contained) = (expand(&output.lines), expand(&output.contains));
    if !lines.is_empty() {
        need_lines(record, &lines)?;
    }
    if let Some(words) = contained.iter().find(|words| !has_words(&record.stdout, words)) {
        return Err(wrong_output(record, format!("The program must print {words}.")));
    }
    if let Some(op) = &output.after {
        let exactly = output.exactly.as_ref().map(|words| values.fill(words));
        let bytes = lines.iter().chain(&contained).chain(&exactly).map(String::len).sum();
        need_after(record, op, bytes)?;
    }
    Ok(())
}

fn need_lines(record: &Record, wanted: &[String]) -> Result<(), Failure> {
    let mut missing = wanted.to_vec();
    for line in record.stdout.lines().filter(|line| !line.trim().is_empty()) {
        match missing.iter().position(|words| has_words(line, words)) {
            Some(at) => {
                missing.swap_remove(at);
            }
            None => {
                let rule = match wanted.iter().find(|words| has_words(line, words)) {
                    Some(words) => format!("{words} was printed twice; print it once."),
                    None => format!("Do not print the line {line:?}."),
                };
                return Err(wrong_output(record, rule));
            }
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(words) => {
            let rule = if has_words(&record.stdout, words) {
                format!(
                    "{words} shares a line with another number. Print each in a line of its own."
                )
            } else {
                let (missing, all) = (missing.len(), wanted.len());
                format!("{words} was not printed; {missing} of {all} lines are missing.")
            };
            Err(wrong_output(record, rule))
        }
    }
}

/// Whether a text has these words, not as part of a longer word or number.
fn has_words(text: &str, words: &str) -> bool {
    let longer = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !longer(before.chars().next_back()) && !longer(after.chars().next())
    })
}

/// Fails if the program printed its answer before it had submitted the first entry of an operation,
/// on which the answer depends.
fn need_after(record: &Record, op: &Operations, bytes: usize) -> Result<(), Failure> {
    const STDOUT: u64 = 1;
    let ends = |what: &What| matches!(what, What::Complete(it) if it.op.as_ref().is_some_and(|it| op.has(it)));
    let first = record.events.iter().find(|event| ends(&event.what));
    // With a polling thread the moment of a completion is unknown.
    let Some(first) = first.filter(|_| !record.summary.polled) else { return Ok(()) };
    let early = record
        .calls
        .iter()
        .filter(|call| call.name == "write" && call.args[0] == STDOUT && call.us < first.us);
    let early: u64 = early.map(|call| call.args[2]).sum();
    if record.stdout.len() as u64 >= early + bytes as u64 {
        return Ok(());
    }
    let kernel = record.lines_at_most(1, ends);
    let printed = format!("printed before it: {early} bytes of {}", record.stdout.len());
    Err(record.fail(ids::ORDER).kernel(kernel.into_iter().chain([printed])).rule(format!(
        "The program printed its answer before the {} had completed. Print the result from the \
         completion.",
        op
    )))
}

fn need_file(record: &Record, values: &Values, name: &str, wanted: &str) -> Result<(), Failure> {
    let path = values.fill(&format!("{{{name}}}"));
    let found = match fs::read(&path) {
        Ok(bytes) if bytes == wanted.as_bytes() => return Ok(()),
        Ok(bytes) => format!("it holds {}", quoted(&String::from_utf8_lossy(&bytes))),
        Err(_) => "there is no such file".to_string(),
    };
    let kernel = record.last_lines(|what| matches!(what, What::Submit(_) | What::Complete(_)));
    Err(record
        .fail(ids::OUTPUT)
        .kernel(kernel)
        .rule(format!("At the end the file {name} must hold {}; {found}.", quoted(wanted))))
}

fn wrong_output(record: &Record, rule: String) -> Failure {
    let mut kernel = record.lines_at_most(2, |what| matches!(what, What::Complete(_)));
    kernel.push(record.printed());
    record.fail(ids::OUTPUT).kernel(kernel).rule(rule)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_whole() {
        assert!(has_words("tag 17 came back with 0", "17"));
        assert!(has_words("17", "17"));
        assert!(!has_words("tag 171 and 217", "17"));
    }

    #[test]
    fn each_line_once_and_no_other() {
        let lines = |stdout: &str| {
            let record = Record { stdout: stdout.to_string(), ..Record::default() };
            need_lines(&record, &["1".to_string(), "2".to_string()]).map_err(|it| it.rule)
        };
        assert_eq!(lines("2: fine\n\n1\n"), Ok(()));
        let rule = lines("1\n1\n").expect_err("twice");
        assert_eq!(rule, "1 was printed twice; print it once.");
        assert!(lines("1\n").expect_err("missing").starts_with("2 was not printed; 1 of 2"));
        assert!(lines("1 2\n").expect_err("one line").starts_with("2 shares a line"));
        assert!(lines("1\n2\nbye\n").expect_err("more").contains("not print the line \"bye\""));
    }
}
