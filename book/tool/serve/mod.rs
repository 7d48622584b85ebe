//! `serve`: shows the book on this machine, and builds it again when a file changes.
//!
//! The pages on the disk stay as they are: the few lines of script that ask for news are added
//! to a page when it is sent.

mod response;
mod shown;

use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher as _};

use self::shown::{Shown, lock};
use crate::build::{self, Place};
use crate::output;
use crate::problem::Problem;

/// Editors write a file in several steps. What happens within this time is one change.
const CALM: Duration = Duration::from_millis(150);

/// Serves the book on `127.0.0.1` until it is stopped. Returns only if it cannot.
pub fn serve(place: &Place, port: u16, ready: impl FnOnce(&str)) -> Problem {
    let listener = match TcpListener::bind(("127.0.0.1", port)) {
        Ok(listener) => listener,
        Err(wrong) => {
            return Problem::of(
                format!("127.0.0.1:{port}"),
                format!("cannot be listened on: {wrong}"),
                "cargo xtask book serve --port 0, for a port that is free",
            );
        }
    };
    let address = listener.local_addr().map_or(String::new(), |it| format!("http://{it}/"));
    let shown = Arc::new(Mutex::new(Shown::default()));
    lock(&shown).news.version = first_version();
    let answering = Arc::clone(&shown);
    let started = std::thread::Builder::new().spawn(move || response::all(&listener, &answering));
    if let Err(wrong) = started {
        return Problem::of(
            "book",
            format!("cannot be served: no thread can be started: {wrong}"),
            "ulimit -u: the limit on processes, or that of the container",
        );
    }
    let (told, changes) = mpsc::channel();
    let watcher = match watch(&place.root, told) {
        Ok(watcher) => watcher,
        Err(wrong) => {
            return Problem::of(
                "book",
                format!("cannot be watched: {wrong}"),
                "cargo xtask book build, after each change",
            );
        }
    };
    rebuild(place, &shown);
    ready(&address);
    while changed(&changes) {
        rebuild(place, &shown);
    }
    drop(watcher);
    Problem::of("book", "is no longer watched", "start `cargo xtask book serve` again")
}

/// A version that no earlier server has told: a page outlives the one that it came from.
fn first_version() -> u64 {
    let since = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
    since.as_secs() * 1000
}

/// Builds the pages, and prints the result. If they cannot be built, the old ones stay.
fn rebuild(place: &Place, shown: &Mutex<Shown>) {
    let mut shown = lock(shown);
    match build::build(place) {
        Ok(folder) => {
            shown.folder = folder;
            shown.news.problems.clear();
            output::line("built");
        }
        Err(problems) => {
            shown.news.problems = problems.iter().map(Problem::to_string).collect();
            for problem in &problems {
                output::aside(&problem.to_string());
            }
        }
    }
    shown.news.version += 1;
}

/// Waits until something changed and has been calm for a moment; false if nobody watches.
fn changed(changes: &Receiver<()>) -> bool {
    if changes.recv().is_err() {
        return false;
    }
    loop {
        match changes.recv_timeout(CALM) {
            Ok(()) => {}
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
    }
}

/// Sends a message for every change of a file that the book is made of, as long as the watcher lives.
fn watch(root: &Path, told: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        // Building reads all these files, which is no change.
        let writes = !matches!(event.kind, EventKind::Access(_));
        if writes && event.paths.iter().any(|path| is_source(path)) {
            let _ = told.send(());
        }
    })?;
    for folder in ["book", "common/src", "day01", "day02", "day03", "day04"] {
        let folder = root.join(folder);
        if folder.is_dir() {
            watcher.watch(&folder, RecursiveMode::Recursive)?;
        }
    }
    Ok(watcher)
}

/// Whether the book may be made of this file.
fn is_source(path: &Path) -> bool {
    const KINDS: [&str; 9] = ["md", "toml", "css", "js", "svg", "txt", "json", "rs", "hbs"];
    path.extension().and_then(|it| it.to_str()).is_some_and(|it| KINDS.contains(&it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_and_reading_is_not() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("book/src")).unwrap();
        let page = root.path().join("book/src/a.md");
        std::fs::write(&page, "one").unwrap();
        let (told, changes) = mpsc::channel();
        let _watcher = watch(root.path(), told).unwrap();
        let _ = std::fs::read(&page).unwrap();
        assert!(changes.recv_timeout(Duration::from_millis(50)).is_err());
        std::fs::write(&page, "two").unwrap();
        assert!(changed(&changes));
    }
}
