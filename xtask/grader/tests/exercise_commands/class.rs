//! `cargo xtask class` on a copy of the workspace.

use std::fs;
use std::os::unix::fs::symlink;

use testkit::io_uring_or_skip;

use super::workspace::{Workspace, text};

#[test]
fn one_bad_submission_does_not_stop_the_class() {
    if !io_uring_or_skip("one_bad_submission_does_not_stop_the_class") {
        return;
    }
    let workspace = Workspace::new("exercise_class");
    let class = workspace.0.join("class");
    let hand_in = |student: &str, text: &str| {
        let bins = class.join(student).join("workbook/src/bin");
        fs::create_dir_all(&bins).expect("a folder");
        fs::write(bins.join("first_nop.rs"), text).expect("a file");
        bins
    };
    let first = workspace.exercise("first_nop");
    let solution = fs::read_to_string(first.solution()).expect("the solution");
    let witness = class.join("ada/witness");
    hand_in("ada", &solution);
    fs::write(&witness, "still here").expect("a file");
    hand_in("bob", "fn main() { oops }");
    // More processes than it may have.
    let eve = format!(
        "fn main() {{ std::fs::remove_file({witness:?}).ok(); \
         for _ in 0..9 {{ unsafe {{ libc::fork() }}; }} \
         std::thread::sleep(std::time::Duration::from_secs(600)); }}"
    );
    hand_in("eve", &eve);
    let gus = hand_in("gus", "");
    fs::remove_file(gus.join("first_nop.rs")).expect("ours to remove");
    symlink("/etc/passwd", gus.join("first_nop.rs")).expect("a link");
    let ivy = hand_in("ivy", &solution);
    let built = workspace.0.join("built");
    let script = format!("fn main() {{ std::fs::write({built:?}, \"\").unwrap(); }}");
    fs::write(ivy.join("../../build.rs"), script).expect("a build script");

    let (csv, details) = (workspace.0.join("class.csv"), workspace.0.join("details"));
    let paths = [&class, &csv, &details].map(|path| path.display().to_string());
    let [folder, to_csv, to_details] = paths.each_ref().map(String::as_str);
    let arguments = ["class", folder, "--only", "first_nop", "--csv", to_csv];
    let output = workspace.run(&[&arguments[..], &["--details", to_details]].concat());
    let table = text(&output.stdout);
    assert!(output.status.success(), "{table}{}", text(&output.stderr));
    let csv = fs::read_to_string(csv).expect("the values").replace('"', "");
    assert!(csv.contains("ada,1,first_nop,passed,"), "{csv}{table}");
    assert!(csv.contains("bob,1,first_nop,failed,E-COMPILE"), "{csv}{table}");
    assert!(csv.contains("eve,1,first_nop,failed,E-"), "{csv}{table}");
    assert!(csv.contains("gus,1,first_nop,not read,,it is a symbolic link"), "{csv}{table}");
    assert!(csv.contains("ivy,1,first_nop,passed,"), "{csv}{table}");
    for (student, words) in [
        ("ada", "ada\n\nfirst_nop: passed\n"),
        ("bob", "cannot find value `oops`"),
        ("eve", "first_nop: not yet (E-"),
        ("gus", "first_nop: not read: it is a symbolic link"),
    ] {
        let text = fs::read_to_string(details.join(format!("{student}.txt"))).expect("a text");
        assert!(text.contains(words), "{text}");
    }
    assert!(!built.exists(), "a build script ran");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    if table.contains("behind walls") {
        assert!(witness.exists(), "a program could write outside of its folder");
    }
}

#[test]
fn a_class_whose_results_cannot_be_kept_is_not_judged() {
    let workspace = Workspace::new("exercise_class_unkept");
    let class = workspace.0.join("class");
    fs::create_dir_all(class.join("ada")).expect("a folder");
    fs::write(class.join("ada/first_nop.rs"), "fn main() {}").expect("a file");
    let folder = class.display().to_string();
    let there = workspace.0.join("Cargo.toml").display().to_string();
    for option in ["--csv", "--details"] {
        let output = workspace.run(&["class", &folder, option, &format!("{there}/in")]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        assert!(text(&output.stderr).contains("Not a directory"), "{}", text(&output.stderr));
        assert_eq!(text(&output.stdout), "");
    }
}
