//! Lets `xtask`, which has the tracer, compare the recordings with new ones.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{files, ring};
use crate::paths;
use crate::problem::Problem;
use crate::recording::Recording;
use crate::transcript;

/// What is wrong with the recordings of the book; `None` if they cannot be made again here.
pub fn problems(root: &Path) -> Option<Vec<Problem>> {
    against(root, &|name| {
        let mut command = Command::new("cargo");
        command.args(["xtask", "record", "--check", name]);
        command
    })
}

/// What is wrong with the recordings; `again` compares the one with this name.
pub fn against(root: &Path, again: &dyn Fn(&str) -> Command) -> Option<Vec<Problem>> {
    let json = |path: &Path| path.extension().is_some_and(|it| it == "json");
    let mut problems = Vec::new();
    let mut sound = Vec::new();
    for path in files::below(&root.join("book/traces"), &json) {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let file = paths::name(root, &path);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        match Recording::parse(&name, &text) {
            Ok(_) => sound.push((file, name)),
            Err(wrong) => problems.push(Problem::of(file, wrong.what, wrong.remedy)),
        }
    }
    match ring::available("the book's recordings") {
        Ok(true) => {}
        Ok(false) if problems.is_empty() => return None,
        Ok(false) => return Some(problems),
        Err(problem) => return Some(vec![problem]),
    }
    problems.extend(sound.iter().filter_map(|(file, name)| {
        let complaint = complaint(root, again(name))?;
        let remedy =
            format!("{complaint}\nif the new recording is right: cargo xtask record {name}");
        Some(Problem::of(file, "a new recording has other steps", remedy))
    }));
    Some(problems)
}

/// The complaint of a comparison.
fn complaint(root: &Path, mut command: Command) -> Option<String> {
    transcript::run::environment(&mut command);
    match command.current_dir(root).stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => None,
        Ok(output) => {
            let printed = [output.stdout, output.stderr].concat();
            Some(String::from_utf8_lossy(&printed).trim_end().to_owned())
        }
        Err(wrong) => Some(format!("Cargo cannot be started: {wrong}")),
    }
}
