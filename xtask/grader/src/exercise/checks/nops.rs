//! NOPs with tags: which of them the kernel took, and which tags the program printed.

use crate::exercise::attempt::Attempt;
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::record::{Record, user_data};
use ringtrace::event::What;

/// A random tag that the trace shows as a number, not as a text.
pub fn tag(attempt: &Attempt) -> u64 {
    attempt.number(100_000..=989_999)
}

/// Fails unless the kernel took one NOP for each tag, and no other. Entries that the tracer was too
/// late to read count as right.
///
/// # Errors
/// `E-NO-RING`, `E-NOT-SUBMITTED`, `E-NO-ENTRY`, `E-TAG`, `E-TOO-MANY-ENTRIES`.
pub fn need_tags(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    if record.summary.unseen_entries == 0 && record.submitted("NOP").is_empty() {
        record.need_entries("NOP", tags.len())?;
    }
    let mut missing = tags.to_vec();
    let nops = record.submitted("NOP");
    let lines = || record.last_lines(|what| matches!(what, What::Submit(_)));
    for nop in &nops {
        if let Some(at) = missing.iter().position(|tag| user_data(*tag) == nop.user_data) {
            missing.swap_remove(at);
            continue;
        }
        let wanted = tags.iter().any(|tag| user_data(*tag) == nop.user_data);
        let strange = |what: &What| matches!(what, What::Submit(other) if other.seq == nop.seq);
        let id = if wanted { ids::TOO_MANY_ENTRIES } else { ids::TAG };
        return Err(record.fail(id).kernel(record.lines(strange)).rule(format!(
            "{} Submit one NOP for each of the {} tags, with the tag as its user_data.",
            if wanted {
                format!("A second NOP carried the tag {}.", nop.meaning)
            } else {
                format!("A NOP carried {}, which is not one of the tags.", nop.meaning)
            },
            tags.len()
        )));
    }
    if missing.len() as u64 > record.summary.unseen_entries {
        record.need_all_submitted()?;
        let mut kernel = lines();
        kernel.push(format!("NOPs that the kernel took: {}", nops.len()));
        return Err(record.fail(ids::NO_ENTRY).kernel(kernel).rule(format!(
            "No NOP carried the tag {}. Submit one NOP for each of the {} tags.",
            missing[0],
            tags.len()
        )));
    }
    Ok(())
}

/// Fails unless the program printed each tag once, in a line of its own, in any order. Other words
/// may follow it in the line.
///
/// # Errors
/// `E-OUTPUT`.
pub fn need_printed(record: &Record, tags: &[u64]) -> Result<(), Failure> {
    let lines: Vec<&str> =
        record.stdout.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let mut missing = tags.to_vec();
    let mut strange = None;
    let known = |number: Option<u64>| number.is_some_and(|it| tags.contains(&it));
    for line in &lines {
        let number = line
            .split(|letter: char| !letter.is_ascii_digit())
            .find(|word| !word.is_empty())
            .and_then(|word| word.parse::<u64>().ok());
        match missing.iter().position(|tag| Some(*tag) == number) {
            Some(at) => {
                missing.swap_remove(at);
            }
            None => strange = strange.or(Some((line, known(number)))),
        }
    }
    let told = match (strange, missing.first()) {
        (Some((line, true)), _) => format!("printed twice: {line}"),
        (Some((line, false)), _) => format!("printed, and not the tag of a completion: {line}"),
        (None, Some(tag)) => format!("came back, and was not printed: {tag}"),
        (None, None) => return Ok(()),
    };
    let mut kernel = record.lines_at_most(2, |what| matches!(what, What::Complete(_)));
    kernel.push(told);
    Err(record.fail(ids::OUTPUT).kernel(kernel).rule(
        "Print the `user_data` of every completion once, one on each line, and nothing else on the \
         standard output.",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_that_is_printed_twice_is_not_a_strange_one() {
        let told = |stdout: &str| {
            let record = Record { stdout: stdout.to_string(), ..Record::default() };
            need_printed(&record, &[1, 2]).map_err(|failure| failure.kernel.join("\n"))
        };
        assert_eq!(told("2\n1\n"), Ok(()));
        assert_eq!(told("1\n2\n1\n"), Err("printed twice: 1".to_string()));
        let strange = told("1\n2\n3\n").expect_err("another number");
        assert_eq!(strange, "printed, and not the tag of a completion: 3");
    }
}
