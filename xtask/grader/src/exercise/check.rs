//! One check from its program to its verdict.

use std::path::Path;

use common::environment;

use super::attempt::Attempt;
use super::cost::{Measured, Par};
use super::exercises::{Exercise, release};
use super::failure::{Failure, Passed};
use super::ids;
use super::record::Record;
use super::verdict::Verdict;

/// Checks a compiled program.
pub fn program(exercise: &Exercise, program: &Path) -> Verdict {
    with_record(exercise, program).0
}

/// Checks a compiled program. Also returns the record of its last run.
pub fn with_record(exercise: &Exercise, program: &Path) -> (Verdict, Option<Record>) {
    if let Some(failure) = too_old(exercise) {
        return (Verdict::Failed(failure), None);
    }
    let folder = tempfile::Builder::new().prefix(&exercise.name).tempdir();
    let folder = match folder {
        Ok(folder) => folder,
        Err(error) => {
            let why = format!("cannot make a folder for its files: {error}");
            return (Verdict::Failed(Failure::not_observed(why)), None);
        }
    };
    let attempt = Attempt::new(&exercise.name, program, folder.path());
    let answer = exercise.check.run(&attempt);
    let record = attempt.last_run();
    let answer = answer.map_err(|failure| rather_the_panic(failure, record.as_ref()));
    let answer = answer.and_then(|passed| attempt.need_the_same_unwatched().map(|()| passed));
    let answer = answer.map(|passed| measured(passed, exercise, record.as_ref()));
    (Verdict::of(answer), record)
}

/// If a check measures no cost and the par is for a run, takes the cost of the last run.
fn measured(mut passed: Passed, exercise: &Exercise, last: Option<&Record>) -> Passed {
    let of_run = exercise.about.par.as_ref().is_some_and(Par::is_of_run);
    let last = last.filter(|_| of_run).map(Measured::of);
    passed.measured = passed.measured.or(last);
    passed
}

/// Reports a panic instead of its consequences: a wrong output of a program that panicked before it
/// printed, or a missing ring.
fn rather_the_panic(failure: Failure, record: Option<&Record>) -> Failure {
    let early = |record: &Record| match failure.id {
        ids::OUTPUT => true,
        ids::NO_RING => record.summary.refused.is_empty(),
        _ => false,
    };
    let silent = record.filter(|record| record.stdout.is_empty() && early(record));
    match silent.and_then(Record::panicked) {
        Some(message) => Failure { id: ids::PANIC, ..failure }
            .rule(format!("The program panicked, and printed nothing: {message}")),
        None => failure,
    }
}

/// The failure if this kernel is too old for the exercise.
fn too_old(exercise: &Exercise) -> Option<Failure> {
    let text = environment::kernel_release();
    let running = release(&text)?;
    let (major, minor) = exercise.kernel();
    (running < (major, minor)).then(|| {
        Failure::not_observed(format!(
            "{} needs Linux {major}.{minor}; this is {text}.",
            exercise.name
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_where_nothing_was_printed() {
        let stderr = "thread 'main' panicked at src/bin/x.rs:1:1:\nno room\n".to_string();
        let mut record = Record { status: Some(101), stderr, ..Record::default() };
        let told = rather_the_panic(record.fail(ids::OUTPUT), Some(&record));
        assert_eq!(told.id, ids::PANIC);
        assert!(told.rule.contains("no room"), "{}", told.rule);
        // It never asked for a ring.
        assert_eq!(rather_the_panic(record.fail(ids::NO_RING), Some(&record)).id, ids::PANIC);
        record.stdout = "17".to_string();
        assert_eq!(rather_the_panic(record.fail(ids::OUTPUT), Some(&record)).id, ids::OUTPUT);
    }
}
