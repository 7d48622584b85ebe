//! What the day prints for answers that other kernels gave.
//!
//! `tests/recorded/` holds such answers, in the form of `day02 --json`.

use common::text::WIDTH;

use crate::report::{Feature, Report};

fn recorded(name: &str) -> Report {
    let path = format!("{}/tests/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn a_walk_on_a_kernel_that_has_everything() {
    insta::assert_snapshot!(recorded("linux_6_18").text(false));
}

#[test]
fn a_walk_on_an_old_kernel() {
    insta::assert_snapshot!(recorded("linux_5_10").text(true));
}

#[test]
fn one_ring() {
    insta::assert_snapshot!(recorded("one_ring").text(false));
}

#[test]
fn nothing_is_wider_than_a_terminal() {
    for name in ["linux_6_18", "linux_5_10", "one_ring"] {
        for long in [false, true] {
            for line in recorded(name).text(long).lines() {
                assert!(line.chars().count() <= WIDTH, "{name}: {line}");
            }
        }
    }
}

#[test]
fn a_feature_newer_than_the_catalogue_is_a_number() {
    let report = Report::new(None, Vec::new(), 1 | 1 << 31);
    let names: Vec<_> = report.features.iter().map(|feature| feature.name.as_str()).collect();
    assert_eq!(names, ["IORING_FEAT_SINGLE_MMAP", "feature bit 0x80000000"]);
    let Feature { since, .. } = &report.features[1];
    assert_eq!(since, "?");
    assert!(report.text(true).contains("newer than the catalogue"), "{}", report.text(true));
}
