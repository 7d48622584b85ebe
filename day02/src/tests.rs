//! What the day prints for answers that other kernels gave.
//!
//! `tests/recorded/` holds such answers, in the form of `day02 --json`. Those called
//! `linux_…` are of real kernels, kept by `cargo xtask kernels --record`.

use common::text::WIDTH;

use crate::report::{Feature, Report};

fn recorded(name: &str) -> Report {
    let path = format!("{}/tests/recorded/{name}.json", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
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
fn a_walk_on_every_kernel_that_was_recorded() {
    let names = real_kernels();
    assert!(names.len() >= 4, "{names:?}");
    for name in names {
        insta::assert_snapshot!(name.clone(), recorded(&name).text(false));
    }
}

#[test]
fn an_old_kernel_at_length() {
    insta::assert_snapshot!(recorded("linux_5_10").text(true));
}

#[test]
fn one_ring() {
    insta::assert_snapshot!(recorded("one_ring").text(false));
}

#[test]
fn nothing_is_wider_than_a_terminal() {
    for name in real_kernels().into_iter().chain(["one_ring".to_string()]) {
        for long in [false, true] {
            for line in recorded(&name).text(long).lines() {
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
