//! What a kernel should report, by the catalogue and by the days' rules, and where it differs.
//!
//! All of it is a pure function of the reports. If a change breaks a fallback, or a version in the
//! catalogue is wrong, the kernels that disagree show which.

use common::catalog::{
    ACCEPT_FLAGS, ENTER_FLAGS, ENTRY_FLAGS, Entry, FEATURES, Kernel, OPERATIONS,
    REGISTER_OPERATIONS, SETUP_FLAGS, Table,
};
use grader::exercise::ids;
use grader::exercise::verify::Proof;

use super::facts::Facts;
use super::outcome::{DayReport, Outcome, Printed};

/// The newest kernel whose header the catalogue was compared with. What a newer kernel has besides
/// is news, not a mistake.
const COMPARED: Kernel = kernel("7.3");

/// Parts of a later io_uring in a stable kernel. It may lack them: its first releases do.
struct Backport {
    kernel: Kernel,
    features_of: Kernel,
    operations_of: Kernel,
}

/// Linux 5.10.162 took io_uring over from 5.15, without the operations that need other parts of it.
const BACKPORTS: [Backport; 1] = [Backport {
    kernel: kernel("5.10"),
    features_of: kernel("5.15"),
    operations_of: kernel("5.11"),
}];

const fn kernel(release: &str) -> Kernel {
    match Kernel::parse(release) {
        Some(kernel) => kernel,
        None => panic!("a release such as 5.19"),
    }
}

/// Compares a kernel's features with the catalogue. Empty if they agree.
pub fn differences(facts: &Facts) -> Vec<String> {
    let Some(kernel) = Kernel::parse(&facts.release) else {
        return vec![format!("{:?} is not a release that can be compared", facts.release)];
    };
    let backport = BACKPORTS.iter().find(|backport| backport.kernel == kernel);
    let operations = backport.map_or(kernel, |backport| backport.operations_of);
    let features = backport.map_or(kernel, |backport| backport.features_of);
    let has_operation = |code| facts.operations.contains(&code);
    let mut all = compare(&OPERATIONS, kernel, operations, has_operation);
    all.extend(compare(&FEATURES, kernel, features, |bit| facts.features & bit != 0));
    all.extend(compare(&SETUP_FLAGS, kernel, kernel, |bit| facts.setup_flags & bit != 0));
    if let Some(query) = &facts.query {
        let registers = |code| code < query.register_operations;
        all.extend(compare(&REGISTER_OPERATIONS, kernel, kernel, registers));
        let enters = |bit| query.enter_flags & u64::from(bit) != 0;
        all.extend(compare(&ENTER_FLAGS, kernel, kernel, enters));
        let marks = |bit| query.entry_flags & u64::from(bit) != 0;
        all.extend(compare(&ENTRY_FLAGS, kernel, kernel, marks));
    }
    if kernel <= COMPARED {
        all.extend(
            news(facts).into_iter().map(|news| format!("the catalogue does not know {news}")),
        );
    }
    all
}

/// What is there before the release that the catalogue names, or missing after it. Between `kernel`
/// and `latest` both are right.
fn compare(
    table: &Table,
    kernel: Kernel,
    latest: Kernel,
    has: impl Fn(u32) -> bool,
) -> Vec<String> {
    let wrong = |entry: &&Entry| match has(entry.code) {
        true => entry.since > latest,
        false => entry.since <= kernel,
    };
    let describe = |entry: &Entry| {
        let there = if has(entry.code) { "is there" } else { "is missing" };
        format!("{} {there}, and the catalogue says since {}", entry.name, entry.since)
    };
    table.entries.iter().filter(wrong).map(describe).collect()
}

/// What the kernel has and the catalogue does not know.
pub fn news(facts: &Facts) -> Vec<String> {
    let query = facts.query.clone().unwrap_or_default();
    let codes = facts.operations.iter().map(|code| (&OPERATIONS, *code));
    let registers = (0..query.register_operations).map(|code| (&REGISTER_OPERATIONS, code));
    let bits = [
        (&FEATURES, u64::from(facts.features)),
        (&SETUP_FLAGS, query.setup_flags),
        (&ENTER_FLAGS, query.enter_flags),
        (&ENTRY_FLAGS, query.entry_flags),
    ];
    let single = |(table, bits): (&'static Table, u64)| {
        (0..u32::BITS)
            .map(|at| 1 << at)
            .filter(move |bit| bits & u64::from(*bit) != 0)
            .map(move |bit| (table, bit))
    };
    codes
        .chain(registers)
        .chain(bits.into_iter().flat_map(single))
        .filter(|(table, code)| table.get(*code).is_none())
        .map(|(table, code)| table.name(code).to_string())
        .collect()
}

/// The setup flags that the servers ask for, in the order in which they leave them out when the
/// kernel refuses.
const FALLBACKS: [&str; 5] = [
    "IORING_SETUP_NO_SQARRAY",
    "IORING_SETUP_DEFER_TASKRUN",
    "IORING_SETUP_SINGLE_ISSUER",
    "IORING_SETUP_COOP_TASKRUN",
    "IORING_SETUP_SUBMIT_ALL",
];

/// The expected result of a day on a kernel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expected {
    /// It runs, without these setup flags.
    Runs { without: Vec<&'static str> },
    /// It says that it needs this release.
    NeedsAtLeast(Kernel),
}

/// The rules: days 03 and 04 need multishot accept into slots, and do without setup flags that the
/// kernel refuses; days 01 and 02 run everywhere and show what there is.
pub fn expected(day: &str, facts: &Facts) -> Expected {
    if matches!(day, "day01" | "day02") {
        return Expected::Runs { without: Vec::new() };
    }
    let needed = ACCEPT_FLAGS.by_name("IORING_ACCEPT_MULTISHOT").map(|entry| entry.since);
    let needed = needed.expect("the catalogue has the flag that day03 is about");
    if Kernel::parse(&facts.release).is_some_and(|kernel| kernel < needed) {
        return Expected::NeedsAtLeast(needed);
    }
    let refused = |name: &&str| {
        let flag = SETUP_FLAGS.by_name(name).expect("the catalogue has the days' flags");
        facts.setup_flags & flag.code == 0
    };
    Expected::Runs { without: FALLBACKS.into_iter().filter(refused).collect() }
}

/// What is wrong with a day's outcome; `None` if it is as expected.
pub fn difference(report: &DayReport, facts: &Facts) -> Option<String> {
    let day = &report.day;
    match (expected(day, facts), &report.outcome) {
        (Expected::Runs { without }, Outcome::Ran { .. }) if without == report.dropped => None,
        (Expected::NeedsAtLeast(kernel), Outcome::Refused { reason })
            if reason.contains(&kernel.to_string()) =>
        {
            None
        }
        (expected, _) => Some(format!("{day} {expected}; instead it {}", report.in_words())),
    }
}

/// Where day01's predictions were wrong: it says which days can run, and then they ran.
pub fn broken_promises(printed: &[Printed], days: &[DayReport]) -> Vec<String> {
    let Some(day01) = printed.iter().find(|printed| printed.day == "day01") else {
        return vec!["day01 printed no object".to_string()];
    };
    let is_ready = |day: &str| {
        let promised = day01.json["days"].as_array()?.iter().find(|one| one["name"] == day)?;
        promised["ready"].as_bool()
    };
    let judge = |report: &DayReport| {
        let day = &report.day;
        match (is_ready(day), &report.outcome) {
            (Some(true), Outcome::Refused { .. }) => {
                Some(format!("day01 says that {day} can run here, and it refused"))
            }
            (Some(false), Outcome::Ran { .. }) => {
                Some(format!("day01 says that {day} cannot run here, and it ran"))
            }
            (None, _) => Some(format!("day01 does not say whether {day} can run here")),
            _ => None,
        }
    };
    days.iter().filter_map(judge).collect()
}

impl std::fmt::Display for Expected {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Expected::Runs { without } if without.is_empty() => {
                write!(f, "should run with nothing left out")
            }
            Expected::Runs { without } => {
                write!(f, "should run, falling back to a ring without {}", without.join(", "))
            }
            Expected::NeedsAtLeast(kernel) => {
                write!(f, "should say that it needs Linux {kernel}")
            }
        }
    }
}

/// What is wrong with the verdict on an exercise's program.
pub fn unproved(proof: &Proof) -> Option<String> {
    if proof.got == proof.expected || is_unseen(proof) {
        return None;
    }
    let Proof { program, expected, got, words } = proof;
    let words = words.as_deref().unwrap_or_default();
    Some(format!("{} got {got}, not {expected}\n{words}", program.replace("--", " ")))
}

/// Whether this kernel does not allow it to be observed.
pub fn is_unseen(proof: &Proof) -> bool {
    proof.got == ids::NOT_OBSERVED.name
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::facts::sample;
    use crate::query::Query;

    fn ran(dropped: &[&str]) -> DayReport {
        let dropped = dropped.iter().map(ToString::to_string).collect();
        DayReport { day: "day03".into(), outcome: Outcome::Ran { facts: String::new() }, dropped }
    }

    fn refused(reason: &str) -> DayReport {
        let outcome = Outcome::Refused { reason: reason.into() };
        DayReport { day: "day03".into(), outcome, dropped: Vec::new() }
    }

    #[test]
    fn what_real_kernels_said_is_what_the_catalogue_says() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../common/recorded");
        let mut kernels = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let facts: Facts = serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
            assert_eq!(differences(&facts), [""; 0], "{}", path.display());
            kernels += 1;
        }
        assert!(kernels >= 4, "only {kernels} recordings");
    }

    #[test]
    fn an_operation_that_is_missing_or_early_is_named() {
        let mut facts = sample("6.1.0-50-cloud-amd64");
        assert_eq!(differences(&facts), [""; 0]);
        facts.operations.retain(|code| *code != 48);
        facts.operations.push(56);
        assert_eq!(
            differences(&facts),
            [
                "IORING_OP_SENDMSG_ZC is missing, and the catalogue says since 6.1",
                "IORING_OP_BIND is there, and the catalogue says since 6.11",
            ]
        );
    }

    #[test]
    fn a_feature_and_a_setup_flag_are_compared_too() {
        let mut facts = sample("6.12.107");
        facts.features &= !(1 << 15);
        facts.setup_flags |= 1 << 18;
        assert_eq!(
            differences(&facts),
            [
                "IORING_FEAT_MIN_TIMEOUT is missing, and the catalogue says since 6.12",
                "IORING_SETUP_CQE_MIXED is there, and the catalogue says since 6.18",
            ]
        );
    }

    #[test]
    fn what_the_kernel_tells_from_6_18_on_is_compared_too() {
        let mut facts = sample("250.1.0");
        facts.query = Some(Query {
            register_operations: 37,
            setup_flags: 0x40_0000,
            enter_flags: 0xfe,
            entry_flags: 0x7f,
        });
        assert_eq!(
            differences(&facts),
            [
                "IORING_REGISTER_BPF_FILTER is missing, and the catalogue says since 7.0",
                "IORING_ENTER_GETEVENTS is missing, and the catalogue says since 5.1",
            ]
        );
        assert_eq!(news(&facts), ["setup flag 0x400000"]);
    }

    #[test]
    fn the_stable_kernel_5_10_may_have_what_it_took_over() {
        let plain = sample("5.10.100");
        assert_eq!(differences(&plain), [""; 0]);
        let mut stable = plain.clone();
        stable.features |= 0x780;
        stable.operations.extend([34, 35, 36]);
        assert_eq!(differences(&stable), [""; 0]);
        stable.operations.push(37);
        assert_eq!(differences(&stable).len(), 1);
        // No other kernel may.
        let mut other = sample("5.9.16");
        assert_eq!(differences(&other), [""; 0]);
        other.features |= 0x780;
        assert_eq!(differences(&other).len(), 4);
    }

    #[test]
    fn what_nobody_knows_is_news_on_a_new_kernel_and_a_mistake_on_an_old_one() {
        let mut facts = sample("250.1.0");
        facts.operations.push(200);
        facts.features |= 1 << 31;
        assert_eq!(differences(&facts), [""; 0]);
        assert_eq!(news(&facts), ["operation 200", "feature bit 0x80000000"]);
        let mut facts = sample("6.1.0");
        facts.operations.push(200);
        assert_eq!(differences(&facts), ["the catalogue does not know operation 200"]);
    }

    #[test]
    fn what_the_servers_do_without_follows_from_what_the_kernel_takes() {
        let without = |release| match expected("day04", &sample(release)) {
            Expected::Runs { without } => without.len(),
            Expected::NeedsAtLeast(_) => usize::MAX,
        };
        assert_eq!(without("5.18.0"), usize::MAX);
        assert_eq!(without("5.19.0"), 3);
        assert_eq!(without("6.0.0"), 2);
        assert_eq!(without("6.1.0"), 1);
        assert_eq!(without("6.6.0"), 0);
        let runs = Expected::Runs { without: Vec::new() };
        assert_eq!(expected("day02", &sample("5.10.0")), runs);
    }

    #[test]
    fn a_fallback_that_was_not_taken_is_named() {
        let facts = sample("6.1.0");
        assert_eq!(difference(&ran(&["IORING_SETUP_NO_SQARRAY"]), &facts), None);
        let broken = difference(&refused("day03: the kernel refused\n  why: EINVAL"), &facts);
        assert_eq!(
            broken.unwrap(),
            "day03 should run, falling back to a ring without IORING_SETUP_NO_SQARRAY; \
             instead it refused: day03: the kernel refused why: EINVAL"
        );
    }

    #[test]
    fn a_fallback_without_need_is_named() {
        let told = difference(&ran(&["IORING_SETUP_NO_SQARRAY"]), &sample("6.12.0")).unwrap();
        assert_eq!(
            told,
            "day03 should run with nothing left out; instead it ran without IORING_SETUP_NO_SQARRAY"
        );
    }

    #[test]
    fn a_refusal_has_to_name_the_release_that_it_needs() {
        let facts = sample("5.10.0");
        assert_eq!(difference(&refused("why: … came with Linux 5.19"), &facts), None);
        assert!(difference(&refused("why: something"), &facts).is_some());
        assert!(difference(&ran(&[]), &facts).is_some());
    }

    #[test]
    fn day01_has_to_keep_its_promises() {
        let printed = |ready: bool| {
            let json = json!({"days": [{"name": "day03", "ready": ready}]});
            [Printed { day: "day01".into(), json }]
        };
        assert_eq!(broken_promises(&printed(true), &[ran(&[])]), [""; 0]);
        assert_eq!(broken_promises(&printed(false), &[refused("5.19")]), [""; 0]);
        assert_eq!(broken_promises(&printed(true), &[refused("5.19")]).len(), 1);
        assert_eq!(broken_promises(&printed(false), &[ran(&[])]).len(), 1);
        assert_eq!(broken_promises(&[], &[ran(&[])]), ["day01 printed no object"]);
    }
}
