//! Builds the book.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use mdbook_driver::MDBook;
use mdbook_preprocessor::book::Chapter;

use crate::config;
use crate::mdbook_warnings::Warnings;
use crate::preprocessor::Days;
use crate::problem::Problem;
use crate::search;

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

/// The result of a build.
#[derive(Debug)]
pub struct Pages {
    /// Where they are.
    pub folder: PathBuf,
    /// Directives that could not be resolved, and what mdBook warned of.
    pub problems: Vec<Problem>,
}

/// Builds the pages and returns their folder.
pub fn build(place: &Place) -> Result<PathBuf, Vec<Problem>> {
    let pages = render(load(place)?, false)?;
    if pages.problems.is_empty() { Ok(pages.folder) } else { Err(pages.problems) }
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

/// Resolves the directives and writes the pages. With `go_on` they are written even if some
/// directives cannot be resolved.
pub fn render(mut book: MDBook, go_on: bool) -> Result<Pages, Vec<Problem>> {
    let problems = Rc::new(RefCell::new(Vec::new()));
    book.with_preprocessor(Days { problems: Rc::clone(&problems), go_on });
    let hearing = Warnings::default();
    let result = tracing::subscriber::with_default(hearing.clone(), || book.build());
    let mut problems = problems.take();
    match result {
        Ok(()) => {
            problems.extend(hearing.take().iter().map(|warning| warned(warning)));
            let dest = book.root.join(&book.config.build.build_dir);
            if let Err(wrong) = search::widen(&dest) {
                problems.push(Problem::of(
                    "searchindex.js",
                    format!("the search index cannot be widened: {wrong}"),
                    "compare book/tool/search.rs with what mdBook writes",
                ));
            }
            Ok(Pages { folder: crate::paths::normal(&dest), problems })
        }
        Err(wrong) if problems.is_empty() => Err(vec![unexpected(&wrong)]),
        Err(_) => Err(problems),
    }
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

/// mdBook's warnings. It names the chapter by its file in `book/src`, in backquotes, and goes on
/// with all of the HTML.
fn warned(warning: &str) -> Problem {
    let first = warning.lines().next().unwrap_or_default();
    let is_page = |name: &&str| Path::new(name).extension().is_some_and(|it| it == "md");
    let chapter = first.split('`').skip(1).step_by(2).find(is_page);
    let file = chapter.map_or("book".to_owned(), |name| format!("book/src/{name}"));
    let around: String = warning.lines().skip(1).collect::<Vec<_>>().join(" ");
    let around: String = around.chars().take(160).collect();
    let remedy = format!("mend the HTML of the page\n{around}");
    Problem::of(file, format!("mdBook warns: {first}"), remedy.trim_end())
}

/// An unexpected failure of mdBook.
fn unexpected(wrong: &mdbook_driver::errors::Error) -> Problem {
    Problem::of("book", format!("{wrong:#}"), "mdBook could not render the book")
}
