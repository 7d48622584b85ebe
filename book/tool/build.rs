//! Builds the book.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mdbook_driver::MDBook;
use mdbook_preprocessor::book::Chapter;

use crate::config;
use crate::hearing::Hearing;
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
    render(load(place)?)
}

/// Reads the configuration, the summary and the chapters.
pub fn load(place: &Place) -> Result<MDBook, Vec<Problem>> {
    let folder = place.book();
    let mut config = config::load(&place.root, &folder)?;
    if let Some(dest) = &place.dest {
        config.build.build_dir.clone_from(dest);
    }
    MDBook::load_with_config(&folder, config).map_err(|wrong| {
        vec![Problem::of(
            "book/src/SUMMARY.md",
            format!("{wrong:#}"),
            "every chapter in it has to be a file in book/src/",
        )]
    })
}

/// Resolves the directives, and writes the pages into the folder that is returned.
pub fn render(mut book: MDBook) -> Result<PathBuf, Vec<Problem>> {
    let problems = Rc::new(RefCell::new(Vec::new()));
    book.with_preprocessor(Days { problems: Rc::clone(&problems) });
    let hearing = Hearing::default();
    let result = tracing::subscriber::with_default(hearing.clone(), || book.build());
    let mut problems = problems.take();
    match result {
        Ok(()) => problems.extend(hearing.take().into_iter().map(warned)),
        Err(wrong) if problems.is_empty() => problems.push(unexpected(&wrong)),
        Err(_) => {}
    }
    let dest = book.root.join(&book.config.build.build_dir);
    if problems.is_empty() { Ok(crate::problem::normal(&dest)) } else { Err(problems) }
}

/// The files of a book's chapters, from `book/src`.
pub fn files(book: &MDBook) -> Vec<String> {
    let file = |chapter: &Chapter| Some(chapter.source_path.as_ref()?.display().to_string());
    book.book.chapters().filter_map(file).collect()
}

/// The texts of a book's chapters, with their directives.
pub fn texts(book: &MDBook) -> Vec<String> {
    book.book.chapters().map(|chapter| chapter.content.clone()).collect()
}

/// What mdBook warned of. It names the chapter by its file in `book/src`, in backquotes.
fn warned(warning: String) -> Problem {
    let names = warning.split('`').skip(1).step_by(2);
    let chapter =
        names.into_iter().find(|name| Path::new(name).extension().is_some_and(|it| it == "md"));
    let file = chapter.map_or("book".to_owned(), |name| format!("book/src/{name}"));
    Problem::of(file, format!("mdBook warns: {warning}"), "mend the HTML of the page")
}

/// mdBook failed where it should not.
fn unexpected(wrong: &mdbook_driver::errors::Error) -> Problem {
    Problem::of("book", format!("{wrong:#}"), "mdBook could not render the book")
}
