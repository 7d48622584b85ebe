//! Compares the entries that a program submitted with those of the plan.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Detail, Entries, Operations, Values};
use crate::exercise::failure::Failure;
use crate::exercise::ids::{self, Id};
use crate::exercise::record::{Record, user_data};
use ringtrace::event::{Complete, Submit, What};

/// Expected entries of one operation, with the values of this run.
pub struct Asked<'a> {
    op: &'a Operations,
    entries: &'a Entries,
    /// One entry for each; `None` if any `user_data` is right.
    tags: Option<Vec<String>>,
    /// The `user_data` of all blocks of this operation, if each block has a `user_data`.
    all_tags: Option<Vec<String>>,
    details: BTreeMap<&'a str, String>,
    result: Option<String>,
}

impl<'a> Asked<'a> {
    /// The expectation for one block of `all`.
    pub fn new(entries: &'a Entries, all: &[Entries], values: &Values) -> Asked<'a> {
        let tags = |entries: &Entries| entries.user_data.as_ref().map(|it| values.expand(it));
        let filled = |detail: &Detail| match detail {
            Detail::Number(number) => number.to_string(),
            Detail::Text(words) => values.fill(words),
        };
        let details = entries.details.iter().map(|(name, it)| (name.as_str(), filled(it)));
        let of_op = all.iter().filter(|other| entries.op.0.iter().any(|op| other.op.has(op)));
        Asked {
            op: &entries.op,
            entries,
            tags: tags(entries),
            all_tags: of_op.map(tags).collect::<Option<Vec<_>>>().map(|tags| tags.concat()),
            details: details.collect(),
            result: entries.result.as_ref().map(filled),
        }
    }

    /// Fails unless the kernel took the expected entries and completed them.
    ///
    /// # Errors
    /// `E-NO-ENTRY`, `E-TOO-MANY-ENTRIES`, `E-TAG`, `E-FLAGS`, `E-WRONG-ENTRY`, `E-NOT-REAPED`,
    /// `E-FAILED-ENTRY`.
    pub fn need(&self, record: &Record) -> Result<(), Failure> {
        let all: Vec<&Submit> = record.submits().filter(|it| self.op.has(&it.op)).collect();
        // Entries of a polled ring that the tracer missed count as right.
        let unseen = record.summary.unseen_entries;
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

    /// The allowed numbers of entries.
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
        let mut kernel = match record.submits().next() {
            None => vec!["the program set up a ring, but submitted no entry".to_string()],
            Some(_) => record.last_lines(|what| op.is_entry(what)),
        };
        kernel.push(format!("{op} entries: {got}"));
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
        let rule = format!("{op} entries that the kernel took: {got}. Submit {allowed}.");
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
            "The {} carries {} as its user_data; {wanted}. Only the user_data tells one completion \
             from another.",
            entry.op, entry.meaning
        ))
    }

    /// Compares the flags and details of one entry.
    fn need_as_asked(&self, record: &Record, entry: &Submit) -> Result<(), Failure> {
        let fail = |id: Id, rule: String| {
            Err(record.fail(id).kernel(record.lines(|what| is(what, entry))).rule(rule))
        };
        if let Some(flag) = self.entries.flags.iter().find(|flag| !has(entry, &flag.0)) {
            let rule = format!("This {} lacks the flag IOSQE_{}.", entry.op, flag.0);
            return fail(ids::FLAGS, rule);
        }
        if let Some(flag) = self.entries.without_flags.iter().find(|flag| has(entry, &flag.0)) {
            let rule =
                format!("This {} has the flag IOSQE_{}, which it must not have.", entry.op, flag.0);
            return fail(ids::FLAGS, rule);
        }
        for (name, wanted) in &self.details {
            let is = match entry.details.get(*name) {
                Some(Value::String(words)) => words.clone(),
                Some(value) => value.to_string(),
                None => {
                    let there: Vec<&str> = entry.details.keys().map(String::as_str).collect();
                    let rule = format!(
                        "This {} has no {name}, which must be {wanted}; it has {}.",
                        entry.op,
                        there.join(", ")
                    );
                    return fail(ids::WRONG_ENTRY, rule);
                }
            };
            // A user_data in a detail is hexadecimal.
            if is != *wanted && is != hex(wanted) {
                let rule = format!("The {name} of this {} is {is}; it must be {wanted}.", entry.op);
                return fail(ids::WRONG_ENTRY, rule);
            }
        }
        Ok(())
    }

    /// Fails unless the entry completed, with the planned result.
    fn need_answer(&self, record: &Record, entry: &Submit) -> Result<(), Failure> {
        let op = &entry.op;
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

/// The completions of an entry, or those that may belong to it.
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
