//! The built pages, between the thread that builds them and those that answer.

use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The answer to a page that asks for news.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct News {
    /// Changes with every build, or failed build.
    pub version: u64,
    /// Why the build failed; shown on the page.
    pub problems: Vec<String>,
}

/// The built pages. A thread that reads or writes them holds the lock.
#[derive(Debug, Default)]
pub struct Shown {
    /// Where they are; empty before the first build.
    pub folder: PathBuf,
    /// The state for pages that ask.
    pub news: News,
}

/// Locks the state. A thread that panicked with the lock has left it consistent.
pub fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}
