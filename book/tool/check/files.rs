//! Checks the files in the folders: pages, snapshots, and files that no page uses.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::paths::name;
use crate::problem::Problem;
use crate::scan;

/// The files below a folder that `wanted` accepts, in order. Build folders, learners' folders and
/// hidden files are left out.
pub fn below(folder: &Path, wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    const LEFT_OUT: [&str; 2] = ["target", "workbook"];
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let called = entry.file_name().to_string_lossy().into_owned();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder && !called.starts_with('.') && !LEFT_OUT.contains(&called.as_str()) {
            files.extend(below(&path, wanted));
        } else if !is_folder && wanted(&path) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// Snapshots that were not reviewed yet.
pub fn pending_snapshots(root: &Path) -> Vec<Problem> {
    let pending = below(root, &|path| {
        let called = path.file_name().unwrap_or_default().to_string_lossy();
        called.ends_with(".snap.new") || called.ends_with(".pending-snap")
    });
    let problem = |file: PathBuf| {
        Problem::of(
            name(root, &file),
            "a snapshot that differs from the one in the repository, and was not reviewed",
            "cargo insta review",
        )
    };
    pending.into_iter().map(problem).collect()
}

/// Pages that the summary does not name. `pages` are those that it does, in `book/src`.
pub fn not_in_summary(root: &Path, pages: &[String]) -> Vec<Problem> {
    let src = root.join("book/src");
    let markdown = below(&src, &|path| path.extension().is_some_and(|it| it == "md"));
    let mut problems = Vec::new();
    for file in markdown {
        let called = name(&src, &file);
        if called != "SUMMARY.md" && !pages.contains(&called) {
            problems.push(Problem::of(
                name(root, &file),
                "no link leads to this page: the summary does not name it",
                format!("add to book/src/SUMMARY.md: - [Title]({called})"),
            ));
        }
    }
    problems
}

/// Transcripts, traces and figures that no page shows: a mistake in them would not be noticed.
pub fn unused(root: &Path, chapters: &[String]) -> Vec<Problem> {
    let mut used = HashSet::new();
    for text in chapters {
        for directive in scan::scan(text).directives {
            let first = directive.arguments.split_whitespace().next().unwrap_or_default();
            let folder = match directive.name.as_str() {
                "transcript" | "quote" => "transcripts",
                "ring" | "count" => "traces",
                "figure" => "figures",
                _ => continue,
            };
            used.insert((folder, first.to_owned()));
        }
    }
    let mut problems = Vec::new();
    for (folder, directive) in
        [("transcripts", "transcript"), ("traces", "ring"), ("figures", "figure")]
    {
        for file in below(&root.join("book").join(folder), &|_| true) {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if !used.contains(&(folder, stem.clone())) {
                problems.push(Problem::of(
                    name(root, &file),
                    "no page shows it",
                    format!("write {{{{#{directive} {stem}}}}} in a page, or delete the file"),
                ));
            }
        }
    }
    problems
}

/// An address of a page, written in a file outside the book.
#[derive(Debug, PartialEq, Eq)]
pub struct Reference {
    /// The file, from the workspace's root.
    pub file: String,
    /// The line in it, from 1.
    pub line: usize,
    /// `page.html` or `page.html#fragment`.
    pub address: String,
}

/// The addresses of pages in the exercises, in their checks and in the tracer's faults.
pub fn references(root: &Path) -> Vec<Reference> {
    let folders = ["day01", "day02", "day03", "day04", "day04/beyond"];
    let folders = folders.map(|day| root.join(day).join("exercises"));
    let mut files: Vec<PathBuf> = folders
        .iter()
        .flat_map(|folder| below(folder, &|path| path.ends_with("exercise.toml")))
        .collect();
    let rust = |path: &Path| path.extension().is_some_and(|it| it == "rs");
    for folder in ["xtask/grader/src/exercise/checks", "xtask/trace/src/diagnosis"] {
        files.extend(below(&root.join(folder), &rust));
    }
    let mut references = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).unwrap_or_default();
        for (index, line) in text.lines().enumerate() {
            for address in addresses(line) {
                let file = name(root, &file);
                references.push(Reference { file, line: index + 1, address });
            }
        }
    }
    references
}

/// The strings of a line that are addresses of pages.
fn addresses(line: &str) -> impl Iterator<Item = String> {
    let quoted = line.split('"').skip(1).step_by(2);
    let is_name = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c))
    };
    let is_address = move |text: &&str| {
        let (page, fragment) = text.split_once('#').unwrap_or((text, "none"));
        page.strip_suffix(".html").is_some_and(is_name) && is_name(fragment)
    };
    quoted.filter(is_address).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_found_in_strings() {
        let found: Vec<String> =
            addresses(r#"book: "day3.html#re-arming", x: "a b.html", y = "day4.html" // "z""#)
                .collect();
        assert_eq!(found, ["day3.html#re-arming", "day4.html"]);
    }
}
