//! `check`: everything about the book that a program can check.

mod atlas;
mod files;
mod html;
mod ring;
mod site;
#[cfg(test)]
mod tests;
mod traces;
mod transcripts;

use std::path::Path;

pub use self::transcripts::record;

use crate::build::{self, Place};
use crate::output;
use crate::problem::Problem;

/// What is checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Pages, links and files.
    Pages,
    /// The same, and every transcript and recording against a run.
    Everything,
}

/// Checks the book, prints each step, and returns what is wrong.
pub fn check(place: &Place, depth: Depth) -> Vec<Problem> {
    let root = place.root.as_path();
    let mut problems = files::pending_snapshots(root);
    let loaded = build::load(place);
    let book = match loaded {
        Ok(book) => Some(book),
        Err(more) => {
            problems.extend(more);
            None
        }
    };
    if let Some(mut book) = book {
        if place.dest.is_none() {
            // Build elsewhere: a wrong book must not replace one that may be open in a browser.
            book.config.build.build_dir.as_mut_os_string().push("-checked");
        }
        problems.extend(files::not_in_summary(root, &build::files(&book)));
        problems.extend(files::unused(root, &build::texts(&book)));
        match build::render(book, true) {
            Ok(built) => {
                problems.extend(built.problems);
                problems.extend(pages(root, &built.folder));
            }
            Err(more) => problems.extend(more),
        }
    }
    told("pages, links and files", problems.len());
    if depth == Depth::Everything {
        problems.extend(ran("transcripts", transcripts::problems(root)));
        problems.extend(ran("recordings", traces::problems(root)));
        problems.extend(ran("the atlas", atlas::problems(root)));
    }
    problems
}

/// Checks the built pages, and the links to them from the exercises.
fn pages(root: &Path, folder: &Path) -> Vec<Problem> {
    let site = match site::Site::read(folder) {
        Ok(site) => site,
        Err(problem) => return vec![problem],
    };
    let mut problems = site.problems(root);
    for reference in files::references(root) {
        if let Some((what, remedy)) = site.reference(&reference.address) {
            problems.push(Problem::at(reference.file, reference.line, what, remedy));
        }
    }
    problems
}

/// Prints the result of a check that needs a run; `None` if it did not run.
fn ran(what: &str, wrong: Option<Vec<Problem>>) -> Vec<Problem> {
    match wrong {
        Some(wrong) => {
            told(what, wrong.len());
            wrong
        }
        None => {
            output::line(&format!("{what}: not run"));
            Vec::new()
        }
    }
}

/// Prints what was checked.
fn told(what: &str, wrong: usize) {
    match wrong {
        0 => output::line(&format!("{what}: right")),
        count => output::line(&format!("{what}: {count} wrong")),
    }
}
