//! Builds the book.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mdbook_driver::MDBook;

use crate::config;
use crate::preprocessor::Days;
use crate::problem::Problem;

/// Where everything is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The workspace.
    pub root: PathBuf,
    /// Where the built pages go; by default where book.toml says.
    pub dest: Option<PathBuf>,
}

impl Place {
    /// The book's folder.
    pub fn book(&self) -> PathBuf {
        self.root.join("book")
    }
}

/// Builds the pages and returns their folder.
pub fn build(place: &Place) -> Result<PathBuf, Vec<Problem>> {
    let folder = place.book();
    let mut config = config::load(&place.root, &folder)?;
    if let Some(dest) = &place.dest {
        config.build.build_dir.clone_from(dest);
    }
    let mut book = MDBook::load_with_config(&folder, config).map_err(|wrong| summary(&wrong))?;
    let problems = Rc::new(RefCell::new(Vec::new()));
    book.with_preprocessor(Days { problems: Rc::clone(&problems) });
    let result = book.build();
    let mut problems = problems.take();
    if let Err(wrong) = result {
        if problems.is_empty() {
            problems.push(unexpected(&wrong));
        }
    }
    if problems.is_empty() { Ok(pages_folder(&folder, &book)) } else { Err(problems) }
}

/// Where mdBook put the pages.
fn pages_folder(folder: &Path, book: &MDBook) -> PathBuf {
    crate::problem::normal(&folder.join(&book.config.build.build_dir))
}

/// The summary, or a chapter that it names, cannot be read.
fn summary(wrong: &mdbook_driver::errors::Error) -> Vec<Problem> {
    vec![Problem::of(
        "book/src/SUMMARY.md",
        format!("{wrong:#}"),
        "every chapter in it has to be a file in book/src/",
    )]
}

/// mdBook failed where it should not.
fn unexpected(wrong: &mdbook_driver::errors::Error) -> Problem {
    Problem::of("book", format!("{wrong:#}"), "mdBook could not render the book")
}
