//! The built pages, between the thread that builds them and those that answer.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The answer to a page that asks for news.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct News {
    /// Another number than before: the pages were built again, or could not be.
    pub version: u64,
    /// What keeps them from being built; shown on the page.
    pub problems: Vec<String>,
}

/// The built pages. A thread that reads or writes them holds the lock.
#[derive(Debug, Default)]
pub struct Shown {
    /// Where they are; empty before the first build.
    pub folder: PathBuf,
    /// The news of them.
    pub news: News,
}

/// Locks what is shown. A thread that panicked while it held it has left no half of anything.
pub fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
