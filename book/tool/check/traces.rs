//! Has `xtask`, which owns the tracer, compare the recordings with fresh ones.

use std::path::Path;
use std::process::{Command, Stdio};

use common::drive::io_uring_or_skip;

use crate::problem::Problem;
use crate::trace::Trace;

use super::files;

/// What is wrong with the recordings of the book.
pub fn problems(root: &Path) -> Vec<Problem> {
    let json = |path: &Path| path.extension().is_some_and(|it| it == "json");
    let recordings = files::below(&root.join("book/traces"), &json);
    let mut problems = Vec::new();
    for path in &recordings {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap_or_default();
        if let Err(wrong) = Trace::parse(&name, &text) {
            problems.push(Problem::of(crate::problem::name(root, path), wrong.what, wrong.remedy));
        }
    }
    if problems.is_empty() && !recordings.is_empty() && io_uring_or_skip("the book's recordings") {
        problems.extend(compare(root));
    }
    problems
}

/// What `cargo xtask record --check` complains about.
fn compare(root: &Path) -> Option<Problem> {
    let mut command = Command::new("cargo");
    command.args(["xtask", "record", "--check"]).current_dir(root).stdin(Stdio::null());
    crate::session::environment(&mut command);
    let output = match command.output() {
        Ok(output) => output,
        Err(wrong) => {
            return Some(Problem::of("book/traces", format!("Cargo: {wrong}"), "cargo build"));
        }
    };
    if output.status.success() {
        return None;
    }
    let printed = [output.stdout, output.stderr].concat();
    Some(Problem::of(
        "book/traces",
        "a fresh recording tells another story",
        format!(
            "{}\nif the new one is right: cargo xtask record",
            String::from_utf8_lossy(&printed).trim_end()
        ),
    ))
}
