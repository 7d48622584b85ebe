//! Checks programs, and compares each verdict with the stated one.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::cases::{Case, tell};
use crate::exercise::check;
use crate::exercise::compile::Built;
use crate::exercise::cost::Cost;
use crate::exercise::paint::Paint;
use crate::exercise::verdict::Verdict;

/// The result of one program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proof {
    /// `first_nop--solution`.
    pub program: String,
    /// The id it must get, or `passed`.
    pub expected: String,
    /// The id it got, or `passed`.
    pub got: String,
    /// Why it could not be observed, or the verdict if it differs from the expected one.
    pub words: Option<String>,
}

pub(super) fn prove(case: &Case, program: &Path) -> Proof {
    let verdict = check::program(&case.exercise, program);
    let words = match &verdict {
        Verdict::Failed(failure) if failure.is_not_observed() => Some(failure.rule.clone()),
        _ if verdict.id() == case.expected => None,
        _ => Some(verdict.text(&case.exercise, Paint::for_stdout())),
    };
    Proof {
        program: case.program.clone(),
        expected: case.expected.clone(),
        got: verdict.id().to_string(),
        words,
    }
}

/// Checks them, several at a time. Returns the names of those that were not as stated.
pub(super) fn check_all(jobs: &[&Case], built: &Built, at_a_time: u32, show: bool) -> Vec<String> {
    let next = AtomicUsize::new(0);
    let bad = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..at_a_time {
            scope.spawn(|| {
                while let Some(case) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let Ok(program) = built.program(&case.program) else { continue };
                    if !one(case, &program, show) {
                        let mut bad = bad.lock().unwrap_or_else(PoisonError::into_inner);
                        bad.push(case.program.clone());
                    }
                }
            });
        }
    });
    let mut bad = bad.into_inner().unwrap_or_else(PoisonError::into_inner);
    bad.sort();
    bad.dedup();
    bad
}

/// Checks a program that was not as stated again, alone. Returns whether it is as stated now.
pub(super) fn good_at_last(
    program: &str,
    cases: &[Case],
    built: &Built,
    again: u32,
    show: bool,
) -> bool {
    let Some(case) = cases.iter().find(|case| case.program == program) else { return false };
    let Ok(path) = built.program(program) else { return false };
    (0..again).any(|_| one(case, &path, show))
}

/// A wrong par of an exercise, by its solution's verdict.
fn off_par(case: &Case, verdict: &Verdict) -> Option<String> {
    let is_solution = case.program.ends_with("--solution") && verdict.passed();
    let par = case.exercise.about.par.as_ref().filter(|_| is_solution)?;
    let per = &par.per;
    let Some(cost) = verdict.cost() else {
        return Some(format!("the par is per {per}, and the check measures no {per}"));
    };
    let Cost { enters, entries } = cost;
    (!par.is_met(cost)).then(|| {
        format!(
            "the solution takes {} per {per}: its par is `enters = {enters}, entries = {entries}`",
            cost.words()
        )
    })
}

/// A remark on a passing program that was not expected, or an expected one that is missing.
fn off_remark(case: &Case, verdict: &Verdict) -> Option<String> {
    let remarks = verdict.remarks();
    match &case.remark {
        _ if !verdict.passed() => None,
        None if remarks.is_empty() => None,
        None => Some("no remark is expected".to_string()),
        Some(words) if remarks.iter().any(|remark| remark.contains(words)) => None,
        Some(words) => Some(format!("a remark must say: {words}")),
    }
}

/// Whether one program got the verdict that it must get.
fn one(case: &Case, program: &Path, show: bool) -> bool {
    let began = Instant::now();
    let verdict = check::program(&case.exercise, program);
    let got = verdict.id();
    // A program that cannot be observed on this machine is neither proven nor refuted.
    let unseen = matches!(&verdict, Verdict::Failed(failure) if failure.is_not_observed());
    let off = off_par(case, &verdict).or_else(|| off_remark(case, &verdict));
    let good = (got == case.expected || unseen) && off.is_none();
    let mark = match (good, unseen) {
        (_, true) => "unseen",
        (true, false) => "ok",
        (false, _) => "WRONG",
    };
    let mut text = format!(
        "{mark:<7} {:<44} {:<22} {:>5.1} s",
        case.program.replace("--", " "),
        got,
        began.elapsed().as_secs_f64()
    );
    if got != case.expected && !unseen {
        let _ = write!(text, "\n        it must get {}", case.expected);
        match case.program.rsplit_once("--") {
            Some((_, "solution")) => {}
            Some((_, "starter")) => text.push_str(", by the `starter` of exercise.toml"),
            _ => text.push_str(", by its `expect` in variants.toml"),
        }
    }
    if let Some(off) = off {
        let _ = write!(text, "\n        {off}");
    }
    if !good || unseen || show {
        let _ = write!(text, "\n{}", verdict.text(&case.exercise, Paint::for_stdout()));
    }
    tell(&text);
    good
}
