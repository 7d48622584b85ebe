//! What the day prints for answers that other kernels gave.
//!
//! `tests/recorded/` holds such answers, in the form of `day01 --json`. Those called `linux_…`
//! are of real kernels, kept by `cargo xtask kernels --record`; the others are made up.

use common::catalog::OPERATIONS;
use common::environment::{Environment, Limit};
use common::text::WIDTH;

use crate::operations::{Operations, Which};
use crate::print;
use crate::survey::Survey;

fn recorded(name: &str) -> Survey {
    let path = format!("{}/tests/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A machine on which the call was refused, as `Survey::take` leaves it.
fn refused(machine: Environment, errno: i32) -> Survey {
    let refusal = machine.explain("io_uring_setup", errno);
    Survey { machine, refusal: Some(refusal), ..Survey::default() }
}

fn docker() -> Environment {
    Environment {
        kernel: "6.12.48+deb13-amd64".to_string(),
        io_uring_disabled: Some(0),
        io_uring_group: Some(-1),
        seccomp: Some(2),
        container: Some("Docker".to_string()),
        euid: Some(0),
        memlock: Limit { soft: Some(8 << 20), hard: Some(8 << 20) },
        cpus: 4,
        cpus_allowed: 4,
        ..Environment::default()
    }
}

/// The recordings of real kernels.
fn real_kernels() -> Vec<String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded");
    let files = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{folder}: {error}"));
    let names =
        files.map(|file| file.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("linux_")).collect();
    names.sort();
    names
}

#[test]
fn prints_every_kernel_that_was_recorded() {
    let names = real_kernels();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        let survey = recorded(&name);
        insta::assert_snapshot!(name, print::text(&survey, Which::Have, false));
    }
}

#[test]
fn prints_what_a_real_old_kernel_lacks() {
    insta::assert_snapshot!(print::text(&recorded("linux_5_10"), Which::Missing, false));
}

#[test]
fn prints_a_kernel_newer_than_the_catalogue() {
    insta::assert_snapshot!(print::text(&recorded("newer"), Which::Have, false));
}

#[test]
fn prints_an_old_kernel_that_runs_two_days() {
    insta::assert_snapshot!(print::text(&recorded("old"), Which::Have, false));
}

#[test]
fn prints_what_an_old_kernel_lacks_at_length() {
    insta::assert_snapshot!(print::text(&recorded("old"), Which::Missing, true));
}

#[test]
fn prints_what_an_old_kernel_lacks_among_all() {
    insta::assert_snapshot!(print::text(&recorded("old"), Which::All, false));
}

#[test]
fn prints_a_kernel_without_the_probe() {
    insta::assert_snapshot!(print::text(&recorded("oldest"), Which::Have, false));
}

#[test]
fn prints_a_blocked_machine() {
    let survey = refused(docker(), libc::EPERM);
    insta::assert_snapshot!(print::text(&survey, Which::Have, false));
}

#[test]
fn nothing_is_wider_than_a_terminal_or_longer_than_half_a_page() {
    let mut surveys = vec![
        recorded("newer"),
        recorded("old"),
        recorded("oldest"),
        refused(docker(), libc::ENOSYS),
    ];
    surveys.extend(real_kernels().iter().map(|name| recorded(name)));
    for survey in &surveys {
        for which in [Which::Have, Which::Missing, Which::All] {
            let long = print::text(survey, which, true);
            let short = print::text(survey, which, false);
            for line in long.lines().chain(short.lines()) {
                assert!(line.chars().count() <= WIDTH, "{line}");
            }
        }
        let plain = print::text(survey, Which::Have, false);
        assert!(plain.lines().count() <= 45, "{plain}");
    }
}

/// Defect 1 of the journal: its probe indexes its table of names by the kernel's codes, and
/// crashes on a kernel that has more.
#[test]
fn journal_row_1_codes_past_the_table_are_numbers() {
    let codes: Vec<u8> = (0..=u8::MAX).collect();
    let operations = Operations { codes: &codes };
    let unknown = operations.unknown();
    assert_eq!(unknown.len() + OPERATIONS.entries.len(), 256);
    assert_eq!(unknown.last(), Some(&255));
    let text = operations.text(Which::All, true);
    assert!(text.contains(" 255"), "{text}");
    assert!(!operations.text(Which::Missing, false).contains("unknown"));
}

#[test]
fn a_kernel_that_has_nothing_lacks_everything() {
    let operations = Operations { codes: &[] };
    assert!(operations.unknown().is_empty());
    let known = OPERATIONS.entries.len();
    let heading = format!("Operations: this kernel lacks {known} of the {known} ");
    assert!(operations.text(Which::Missing, false).starts_with(&heading));
}

#[test]
fn what_json_prints_is_a_recording() {
    for survey in [recorded("newer"), recorded("oldest"), refused(docker(), libc::EPERM)] {
        let json = print::json(&survey).expect("it is plain data");
        assert_eq!(json.lines().count(), 1);
        let read: Survey = serde_json::from_str(&json).expect("it is a survey and more");
        assert_eq!(print::text(&read, Which::All, true), print::text(&survey, Which::All, true));
    }
}
