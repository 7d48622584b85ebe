//! The entries of the atlas that a kernel showed.

use std::collections::{BTreeMap, BTreeSet};

use ::atlas::{LeftOut, Report, Where};
pub use atlas_runner::Shown;
use common::catalog::{self, Kernel, OPERATIONS, REGISTER_OPERATIONS, SETUP_FLAGS};
use common::text::{WIDTH, wrap};

use super::console::{Ran, one_line};

/// Reads what the runner printed. If it broke off, that counts as a failed entry.
pub fn read(ran: &Ran) -> Vec<Shown> {
    let lines = ran.stdout.lines().map(serde_json::from_str);
    let mut all: Vec<Shown> = lines.filter_map(Result::ok).collect();
    if all.is_empty() || ran.code.is_none_or(|code| code > 1) {
        let name = "the atlas".to_string();
        let failed = Some(one_line(&format!("{:?} {}", ran.code, ran.stderr)));
        let report = Report { name, failed, ..Report::default() };
        all.push(Shown { report, ..Shown::default() });
    }
    all
}

/// What is wrong with an entry on this kernel.
pub fn problem(shown: &Shown, release: &str) -> Option<String> {
    let report = &shown.report;
    let name = &report.name;
    if let Some(failed) = &report.failed {
        return Some(format!("{name}: {failed}"));
    }
    if let Some(row) = shown.not_in_the_record.first() {
        return Some(format!("{name}: the kernel's record lacks: {row}"));
    }
    // Such parts can be seen only here, if the kernel is new enough.
    let here = |it: &&LeftOut| matches!(it.seen, Where::EmulatedMachine | Where::Root);
    let came = |it: &&LeftOut| {
        catalog::find(&it.what).is_none_or(|it| Kernel::parse(release) >= Some(it.since))
    };
    let left_out = report.left_out.iter().filter(here).find(came)?;
    Some(format!("{name}: left out, and should be shown here: {}: {}", left_out.what, left_out.why))
}

/// How much each kernel showed, and what was left out for other reasons than the kernel's age.
pub fn text(all: &[(&str, &[Shown])]) -> String {
    let mut text = String::new();
    let mut reasons: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (kernel, shown) in all {
        text += &(wrap(&counts(kernel, shown), WIDTH, 2) + "\n");
        let left_out = shown.iter().flat_map(|shown| &shown.report.left_out);
        for left_out in left_out.filter(|it| it.seen == Where::OtherMachine) {
            reasons.entry(&left_out.why).or_default().insert(&left_out.what);
        }
    }
    for (why, names) in reasons {
        let names = names.into_iter().collect::<Vec<_>>().join(", ");
        text += &(wrap(&format!("  not here: {names}: {why}"), WIDTH, 4) + "\n");
    }
    text
}

/// `6.12 shows 58 of 65 operations, …; left to later kernels: 30`.
fn counts(kernel: &str, all: &[Shown]) -> String {
    let tables = [&OPERATIONS, &SETUP_FLAGS, &REGISTER_OPERATIONS];
    let counts = tables.map(|table| atlas_runner::count(all, table));
    let newer = all.iter().flat_map(|shown| &shown.report.left_out);
    let newer: BTreeSet<&str> =
        newer.filter(|it| it.seen == Where::NewerKernel).map(|it| it.what.as_str()).collect();
    let later = match newer.len() {
        0 => String::new(),
        count => format!("; left to later kernels: {count}"),
    };
    format!("{kernel} shows {}{later}", counts.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(name: &str, what: &str, seen: Where) -> Shown {
        let left_out = vec![LeftOut::new(what, "no disk", seen)];
        let report = Report { name: name.into(), left_out, ..Report::default() };
        let in_the_record = vec!["IORING_OP_NOP".to_string()];
        Shown { report, in_the_record, ..Shown::default() }
    }

    #[test]
    fn what_can_be_seen_in_the_machine_must_be() {
        let polled = shown("iopoll", "a polled read", Where::EmulatedMachine);
        assert_eq!(
            problem(&polled, "7.3.4").unwrap(),
            "iopoll: left out, and should be shown here: a polled read: no disk"
        );
        let newer = shown("discard", "BLOCK_URING_CMD_DISCARD", Where::EmulatedMachine);
        assert_eq!(problem(&newer, "6.1.0"), None);
        assert!(problem(&newer, "6.12.9").is_some());
        assert_eq!(problem(&shown("read", "checksums", Where::OtherMachine), "7.3.4"), None);
    }

    #[test]
    fn the_counts_and_what_is_not_here() {
        let old = [shown("nop", "IORING_OP_PIPE", Where::NewerKernel)];
        let new = [shown("nop", "checksums", Where::OtherMachine)];
        insta::assert_snapshot!(text(&[("5.10.0", &old), ("7.3.4", &new)]));
    }
}
