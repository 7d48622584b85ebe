//! `cargo xtask exercise check`.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use grader::exercise::workbook::Workbook;
use testkit::io_uring_or_skip;

use super::workspace::{LONG, Workspace, text};

#[test]
fn a_check_for_scripts_is_one_object_a_line() {
    if !io_uring_or_skip("a_check_for_scripts_is_one_object_a_line") {
        return;
    }
    let workspace = Workspace::new("exercise_check");
    let check = || {
        let output = workspace.run(&["exercise", "check", "--json", "--rings", "first_nop"]);
        let line = text(&output.stdout);
        let object: serde_json::Value = serde_json::from_str(&line)
            .unwrap_or_else(|_| panic!("{line}{}", text(&output.stderr)));
        (output.status.code(), object)
    };
    let (status, object) = check();
    assert_eq!((status, object["id"].as_str()), (Some(1), Some("E-NOT-SUBMITTED")), "{object}");
    fs::write(workspace.program("first_nop"), "fn main() { oops }").expect("a save");
    let (status, object) = check();
    assert_eq!((status, object["id"].as_str()), (Some(1), Some("E-COMPILE")), "{object}");
    assert!(object["compiler"].as_str().is_some_and(|words| words.contains("oops")), "{object}");
    assert!(object["trace"].is_null(), "it made no ring: {object}");
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a copy");
    let (status, object) = check();
    assert_eq!((status, object["verdict"].as_str()), (Some(0), Some("passed")), "{object}");
    assert_eq!(object["trace"]["rings"][0]["counts"]["NOP"], 1, "{object}");

    // A compiled program alone, as in a booted kernel: no workbook is made, no progress kept.
    let built = Workbook::of(&workspace.0).compile("first_nop").expect("it compiles");
    let compiled = built.program("first_nop").expect("the program");
    let program = workspace.0.join("first_nop");
    fs::copy(compiled, &program).expect("a copy");
    fs::remove_dir_all(workspace.0.join("workbook")).expect("the workbook");
    let program = program.display().to_string();
    let output = workspace.run(&["exercise", "check", "--program", &program, "first_nop"]);
    assert!(output.status.success(), "{}", text(&output.stdout));
    assert!(!workspace.0.join("workbook").exists());
}

/// Wrong tokens, and the verdict on them.
#[test]
fn a_wrong_user_data_is_named_in_the_verdict() {
    if !io_uring_or_skip("a_wrong_user_data_is_named_in_the_verdict") {
        return;
    }
    let workspace = Workspace::new("exercise_tokens");
    let check = |name: &str, right: &str, wrong: &str| {
        let text_of = |path: &Path| fs::read_to_string(path).expect("a program");
        let solution = text_of(&workspace.exercise(name).solution());
        assert_eq!(solution.matches(right).count(), 1, "{name}: {right}");
        fs::create_dir_all(workspace.0.join("workbook/src/bin")).expect("a folder");
        fs::write(workspace.program(name), solution.replace(right, wrong)).expect("a save");
        let output = workspace.run(&["exercise", "check", name]);
        let words = text(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{words}{}", text(&output.stderr));
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let accept = ".user_data(Token::of(Op::Accept).pack())";
    let words = check("rearm", accept, "");
    assert!(words.contains("ACCEPT slot 0 MORE [0]"), "{words}");
    assert!(
        words.contains("came with the user_data 0, and the program submitted nothing after"),
        "{words}"
    );
    let words = check("rearm", accept, ".user_data(Token::of(Op::Send).pack())");
    assert!(words.contains("came with the user_data send slot 0 #0, and the program"), "{words}");
    // All receives carry the token of slot 0.
    let receive = "self.push(Op::Recv, slot, recv)";
    let words = check("buffer_ring", receive, "self.push(Op::Recv, 0, recv)");
    assert!(
        words.contains("This RECV works on slot 1, but its `user_data` names another one"),
        "{words}"
    );
    assert!(words.contains("[recv slot 0 #0]"), "{words}");
}

#[test]
fn where_rings_are_blocked_nothing_is_passed_and_nothing_failed() {
    let workspace = Workspace::new("exercise_blocked");
    Workbook::of(&workspace.0).prepare().expect("a workbook");
    let solution = workspace.exercise("first_nop").solution();
    fs::copy(solution, workspace.program("first_nop")).expect("a copy");
    for errno in [libc::EPERM, libc::ENOSYS] {
        let mut command = workspace.xtask(&["exercise", "check", "--json", "first_nop"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        testkit::block_io_uring(&mut command, errno);
        let output = testkit::output_within(command, LONG).expect("an end");
        let line = text(&output.stdout);
        assert!(line.contains(r#""verdict":"not observed""#), "{line}{}", text(&output.stderr));
        assert_eq!(output.status.code(), Some(1));
    }
}
