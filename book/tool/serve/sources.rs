//! Notices changes of the files that the book is made of.

use std::path::Path;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use notify::{EventKind, RecursiveMode, Watcher as _};

/// Editors write a file in several steps. Changes within this time are one change.
const CALM: Duration = Duration::from_millis(150);

/// Waits until something changed and then nothing for a moment; false if the watcher is gone.
pub fn changed(changes: &Receiver<()>) -> bool {
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

/// Sends a message for every change of a source file, as long as the watcher lives.
pub fn watch(root: &Path, told: mpsc::Sender<()>) -> notify::Result<notify::RecommendedWatcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let Ok(event) = event else { return };
        // Building reads all these files; reads are not changes.
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

/// Whether a file may be a source of the book.
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
