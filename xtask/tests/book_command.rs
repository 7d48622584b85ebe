//! `xtask book`: the answers that need no build of the book's program.

use std::process::{Command, Output};

/// Runs it without a Cargo that could build anything.
fn book(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.arg("book").args(arguments).env("CARGO", "/nowhere/cargo");
    command.output().expect("the tool")
}

#[test]
fn help_and_wrong_usage_need_no_build() {
    for (arguments, code, words) in [
        (&["--help"][..], 0, "cargo xtask book [OPTIONS]"),
        (&[], 0, "cargo xtask book [OPTIONS]"),
        (&["serve", "--help"], 0, "--port <PORT>"),
        (&["serve", "--port", "many"], 2, "invalid value 'many'"),
        (&["build"], 1, "Cargo cannot be started"),
    ] {
        let output = book(arguments);
        let text = [output.stdout, output.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
    }
}
