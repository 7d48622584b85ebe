//! What was seen of a run, compared with what was planned.

use std::collections::BTreeMap;
use std::fs;

use serde_json::Value;

use super::{Detail, Entries, Exit, Operation, Output, PlannedRun, Values};
use crate::exercise::checks::written;
use crate::exercise::failure::Failure;
use crate::exercise::ids::{self, Id};
use crate::exercise::record::{Record, quoted, user_data};
use crate::trace::event::{Complete, Submit, What};

/// Compares everything, in the order in which one mistake leads to the next.
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
        need_output(output, record, values)
            .map_err(|failure| instead(failure, otherwise(&output.otherwise)))?;
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
                    "Something failed, and the program ended with status 0. End with another."
                        .to_string()
                },
                |words| values.fill(words),
            );
            Err(record.fail(ids::RESULT).kernel(kernel).rule(rule))
        }
        // A signal is no exit status.
        Some(status) if status <= 128 => Ok(()),
        _ => record.need_exit(),
    }
}

/// The calls of `io_uring_enter`, those too that never came back; one that a signal interrupts is
/// made again, and counts once.
pub fn enters(record: &Record) -> u64 {
    let interrupted = record.returns().filter(|back| back.error.as_deref() == Some("EINTR"));
    (record.enters().count() - interrupted.count()) as u64
}

fn need_enters(record: &Record, at_most: u64) -> Result<(), Failure> {
    let calls = enters(record);
    if calls <= at_most {
        return Ok(());
    }
    let mut kernel = record.lines(|what| matches!(what, What::Enter(_)));
    kernel.push(format!("calls of io_uring_enter: {calls}"));
    Err(record.fail(ids::ENTERS).kernel(kernel).rule(format!(
        "The program called io_uring_enter {calls} times; at most {at_most} are allowed. One call \
         hands over everything that is in the submission queue, and can wait as well."
    )))
}

/// Entries of one operation, with the values of this run.
struct Asked<'a> {
    op: &'a str,
    entries: &'a Entries,
    /// One entry each; `None` if any `user_data` will do.
    tags: Option<Vec<String>>,
    /// The `user_data` of all blocks of this operation, if each of them names its own.
    all_tags: Option<Vec<String>>,
    details: BTreeMap<&'a str, String>,
    result: Option<String>,
}

impl<'a> Asked<'a> {
    fn new(entries: &'a Entries, all: &[Entries], values: &Values) -> Asked<'a> {
        let tags = |entries: &Entries| entries.user_data.as_ref().map(|it| values.expand(it));
        let filled = |detail: &Detail| match detail {
            Detail::Number(number) => number.to_string(),
            Detail::Text(words) => values.fill(words),
        };
        let details = entries.details.iter().map(|(name, it)| (name.as_str(), filled(it)));
        let of_op = all.iter().filter(|other| other.op == entries.op);
        Asked {
            op: &entries.op.0,
            entries,
            tags: tags(entries),
            all_tags: of_op.map(tags).collect::<Option<Vec<_>>>().map(|tags| tags.concat()),
            details: details.collect(),
            result: entries.result.as_ref().map(filled),
        }
    }

    fn need(&self, record: &Record) -> Result<(), Failure> {
        let all = record.submitted(self.op);
        // Entries of a polled ring that went by unread count as right.
        let unseen = record.summary.unseen_entries;
        if all.is_empty() && unseen == 0 {
            record.need_entries(self.op, self.least() as usize)?;
        }
        let strange = |entry: &&&Submit| {
            self.all_tags.as_ref().is_some_and(|tags| !tags.iter().any(|tag| carries(entry, tag)))
        };
        if let Some(entry) = all.iter().find(strange) {
            return Err(self.strange_tag(record, entry));
        }
        let own: Vec<&Submit> = all
            .into_iter()
            .filter(|entry| {
                self.tags.as_ref().is_none_or(|tags| tags.iter().any(|tag| carries(entry, tag)))
            })
            .collect();
        self.need_count(record, &own, unseen)?;
        for entry in own {
            self.need_as_asked(record, entry)?;
            self.need_answer(record, entry)?;
        }
        Ok(())
    }

    /// The numbers of entries that are allowed.
    fn least(&self) -> u64 {
        let Entries { count, at_least, at_most, .. } = self.entries;
        match (count, at_least, at_most) {
            (Some(count), ..) | (None, Some(count), _) => *count,
            (None, None, Some(_)) => 0,
            (None, None, None) => self.tags.as_ref().map_or(1, |tags| tags.len() as u64),
        }
    }

    fn most(&self) -> u64 {
        let Entries { at_least, at_most, .. } = self.entries;
        match (at_least, at_most) {
            (_, Some(most)) => *most,
            (Some(_), None) => u64::MAX,
            (None, None) => self.least(),
        }
    }

    fn need_count(&self, record: &Record, own: &[&Submit], unseen: u64) -> Result<(), Failure> {
        let (op, got) = (self.op, own.len() as u64);
        let of_op = |what: &What| matches!(what, What::Submit(submit) if submit.op == op);
        let mut kernel = record.last_lines(of_op);
        kernel.push(format!("{op} entries that the kernel took: {got}"));
        let fail = |id: Id, rule: String| Err(record.fail(id).kernel(kernel).rule(rule));
        // One entry for each tag.
        let tags = self.tags.as_deref().filter(|_| self.least() == self.most()).unwrap_or_default();
        let with = |tag: &&String| own.iter().filter(|entry| carries(entry, tag)).count();
        if let Some(tag) = tags.iter().find(|tag| with(tag) > 1) {
            let count = with(&tag);
            return fail(
                ids::TOO_MANY_ENTRIES,
                format!("{count} {op} entries carried the tag {tag}; submit one for each tag."),
            );
        }
        let missing: Vec<&String> = tags.iter().filter(|tag| with(tag) == 0).collect();
        if missing.len() as u64 > unseen {
            let tag = missing[0];
            return fail(
                ids::NO_ENTRY,
                format!("No {op} carried the tag {tag} as its user_data; submit one for each tag."),
            );
        }
        let (least, most) = (self.least(), self.most());
        let allowed = match (least, most) {
            (least, u64::MAX) => format!("at least {least}"),
            (0, most) => format!("at most {most}"),
            (least, most) if least == most => format!("exactly {least}"),
            (least, most) => format!("{least} to {most}"),
        };
        let rule = format!("The kernel took {got} {op} entries; submit {allowed}.");
        match got {
            got if got > most => fail(ids::TOO_MANY_ENTRIES, rule),
            got if got + unseen < least => fail(ids::NO_ENTRY, rule),
            _ => Ok(()),
        }
    }

    fn strange_tag(&self, record: &Record, entry: &Submit) -> Failure {
        let tags = self.all_tags.as_deref().unwrap_or_default();
        let wanted = match tags {
            [tag] => format!("it must carry the tag {tag} ({})", hex(tag)),
            tags => format!("it must carry one of the {} tags", tags.len()),
        };
        record.fail(ids::TAG).kernel(record.lines(|what| is(what, entry))).rule(format!(
            "The {} carries {} as its user_data; {wanted}. The kernel gives nothing else back to \
             tell one completion from another.",
            self.op, entry.meaning
        ))
    }

    /// The flags and details of one entry.
    fn need_as_asked(&self, record: &Record, entry: &Submit) -> Result<(), Failure> {
        let fail = |id: Id, rule: String| {
            Err(record.fail(id).kernel(record.lines(|what| is(what, entry))).rule(rule))
        };
        if let Some(flag) = self.entries.flags.iter().find(|flag| !has(entry, &flag.0)) {
            let rule = format!("This {} lacks the flag IOSQE_{}.", self.op, flag.0);
            return fail(ids::FLAGS, rule);
        }
        if let Some(flag) = self.entries.without_flags.iter().find(|flag| has(entry, &flag.0)) {
            let rule =
                format!("This {} has the flag IOSQE_{}, which it must not have.", self.op, flag.0);
            return fail(ids::FLAGS, rule);
        }
        for (name, wanted) in &self.details {
            let is = match entry.details.get(*name) {
                Some(Value::String(words)) => words.clone(),
                Some(value) => value.to_string(),
                None => "nothing".to_string(),
            };
            // A user_data in a detail is hexadecimal.
            if is != *wanted && is != hex(wanted) {
                let rule = format!("The {name} of this {} is {is}; it must be {wanted}.", self.op);
                return fail(ids::WRONG_ENTRY, rule);
            }
        }
        Ok(())
    }

    /// The entry was answered, and as planned.
    fn need_answer(&self, record: &Record, entry: &Submit) -> Result<(), Failure> {
        let op = self.op;
        let answers = answers(record, entry);
        let kernel = || record.lines(|what| is(what, entry));
        if answers.is_empty() {
            if record.summary.unseen_completions > 0 {
                return Ok(());
            }
            if has(entry, "CQE_SKIP_SUCCESS") {
                return Err(record.fail(ids::FLAGS).kernel(kernel()).rule(format!(
                    "With IOSQE_CQE_SKIP_SUCCESS the kernel posts no completion for this {op} \
                     unless it fails. Its completion must come: leave the flag out."
                )));
            }
            return Err(record.fail(ids::NOT_REAPED).kernel(kernel()).rule(format!(
                "The program ended before this {op} had completed. Wait for its completion."
            )));
        }
        let as_planned = |answer: &&Complete| match &self.result {
            None => answer.res >= 0,
            Some(wanted) => {
                answer.res.to_string() == *wanted || answer.error.as_deref() == Some(wanted)
            }
        };
        let Some(other) = answers.into_iter().find(|answer| !as_planned(answer)) else {
            return Ok(());
        };
        let res = other.error.clone().unwrap_or_else(|| other.res.to_string());
        let wanted = self.result.as_ref().map_or_else(
            || "it must succeed".to_string(),
            |wanted| format!("it must be answered with {wanted}"),
        );
        let id = if other.res < 0 { ids::FAILED_ENTRY } else { ids::WRONG_ENTRY };
        let rule = format!("The kernel answered this {op} with {res}; {wanted}.");
        Err(record.fail(id).kernel(kernel()).rule(rule))
    }
}

/// The completions of an entry, or those that could be its own.
fn answers<'a>(record: &'a Record, entry: &Submit) -> Vec<&'a Complete> {
    let own = |answer: &&Complete| match answer.seq {
        Some(seq) => seq == entry.seq,
        None => answer.user_data == entry.user_data,
    };
    record.completes().filter(own).collect()
}

/// Whether an event is this entry or its completion.
fn is(what: &What, entry: &Submit) -> bool {
    match what {
        What::Submit(submit) => submit.seq == entry.seq,
        What::Complete(complete) => complete.seq == Some(entry.seq),
        _ => false,
    }
}

fn has(entry: &Submit, flag: &str) -> bool {
    entry.flags.iter().any(|name| name == flag)
}

fn carries(entry: &Submit, tag: &str) -> bool {
    entry.user_data == hex(tag)
}

/// A number as the trace writes a `user_data`.
fn hex(tag: &str) -> String {
    tag.parse().map_or_else(|_| tag.to_string(), user_data)
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
        let bytes = lines.iter().chain(&contained).map(String::len).sum();
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
                    None => format!("No line {line:?} was asked for; print nothing else."),
                };
                return Err(wrong_output(record, rule));
            }
        }
    }
    match missing.first() {
        None => Ok(()),
        Some(words) => {
            let rule = format!(
                "{words} was not printed. {} lines are missing; print each in a line of its own.",
                missing.len()
            );
            Err(wrong_output(record, rule))
        }
    }
}

/// Whether a text has these words, and not within a longer word or number.
fn has_words(text: &str, words: &str) -> bool {
    let longer = |letter: Option<char>| letter.is_some_and(char::is_alphanumeric);
    text.match_indices(words).any(|(at, _)| {
        let (before, after) = (&text[..at], &text[at + words.len()..]);
        !longer(before.chars().next_back()) && !longer(after.chars().next())
    })
}

/// What was asked for was not printed before the first entry of an operation went in: nothing of
/// it can be known then.
fn need_after(record: &Record, op: &Operation, bytes: usize) -> Result<(), Failure> {
    const STDOUT: u64 = 1;
    let first = record
        .events
        .iter()
        .find(|event| matches!(&event.what, What::Submit(submit) if submit.op == op.0));
    // With a polling thread nobody knows when.
    let Some(first) = first.filter(|_| !record.summary.polled) else { return Ok(()) };
    let early = record
        .calls
        .iter()
        .filter(|call| call.name == "write" && call.args[0] == STDOUT && call.us < first.us);
    let early: u64 = early.map(|call| call.args[2]).sum();
    if record.stdout.len() as u64 >= early + bytes as u64 {
        return Ok(());
    }
    let kernel = record.lines_at_most(1, |what| matches!(what, What::Submit(it) if it.op == op.0));
    let printed = format!("printed before it: {early} bytes of {}", record.stdout.len());
    Err(record.fail(ids::ORDER).kernel(kernel.into_iter().chain([printed])).rule(format!(
        "The program printed its answer before it had submitted the {}. Print what the completion \
         says.",
        op.0
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
        assert!(lines("1\n").expect_err("missing").starts_with("2 was not printed"));
        assert!(lines("1\n2\nbye\n").expect_err("more").starts_with("No line \"bye\""));
    }
}
