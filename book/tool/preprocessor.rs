//! The preprocessor: resolves the directives of all chapters, for mdBook.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use mdbook_preprocessor::book::Book;
use mdbook_preprocessor::errors::{Error, Result};
use mdbook_preprocessor::{Preprocessor, PreprocessorContext};

use crate::directives::{self, Sources};
use crate::notes;
use crate::pages;
use crate::paths::name;
use crate::problem::Problem;

/// The preprocessor's name in book.toml.
pub const NAME: &str = "days";

/// Resolves the directives. Mistakes go to `problems`.
#[derive(Default)]
pub struct Days {
    /// What was wrong in the last run.
    pub problems: Rc<RefCell<Vec<Problem>>>,
    /// Whether to go on after a mistake.
    pub go_on: bool,
}

impl Preprocessor for Days {
    fn name(&self) -> &str {
        NAME
    }

    fn run(&self, context: &PreprocessorContext, mut book: Book) -> Result<Book> {
        let problems = expand(&context.root, &context.config.book.src, &mut book);
        let count = problems.len();
        *self.problems.borrow_mut() = problems;
        if count == 0 || self.go_on {
            return Ok(book);
        }
        Err(Error::msg(format!("{count} directives or pages of the book are wrong")))
    }
}

/// Resolves the directives of a book whose folder is `folder`, and returns what is wrong.
pub fn expand(folder: &Path, src: &Path, book: &mut Book) -> Vec<Problem> {
    let root = folder.parent().unwrap_or(folder);
    let src = folder.join(src);
    let (pages, mut problems) = pages::pages(root, book);
    let sources = Sources { root, book: folder, pages: &pages };
    book.for_each_chapter_mut(|chapter| {
        let Some(path) = &chapter.source_path else { return };
        let path = src.join(path);
        let parent = path.parent().unwrap_or(&src);
        let (text, more) =
            directives::chapter(&sources, &name(root, &path), parent, &chapter.content);
        chapter.content = text;
        problems.extend(more);
    });
    notes::attach(book);
    problems
}
