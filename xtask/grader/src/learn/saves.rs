//! Notices when a file is saved.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use notify::{Config, EventKind, PollWatcher, RecommendedWatcher, RecursiveMode, Watcher};

/// How often the file is checked without a notice, because some file systems send none (for example
/// network mounts).
const SELDOM: Duration = Duration::from_secs(1);

/// A file, and its state at the last look.
pub struct Saves {
    _watcher: Option<Box<dyn Watcher>>,
    told: Receiver<()>,
    path: PathBuf,
    seen: Option<Stamp>,
    /// A new state that was seen once: an editor may still be writing.
    fresh: Option<Stamp>,
    looked: Instant,
}

/// Its time, its length, and its inode, because an editor may replace it with another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(i64, i64, u64, u64);

impl Saves {
    /// Watches a folder; [`Saves::follow`] names the file in it.
    pub fn new(folder: &Path) -> Saves {
        let (tell, told) = mpsc::channel();
        let heard = move |event: notify::Result<notify::Event>| {
            if event.is_ok_and(|event| !matches!(event.kind, EventKind::Access(_))) {
                let _ = tell.send(());
            }
        };
        let _watcher = watcher(folder, heard);
        let (path, looked) = (PathBuf::new(), Instant::now());
        Saves { _watcher, told, path, seen: None, fresh: None, looked }
    }

    /// Follows this file from now on; its present content does not count as a save.
    pub fn follow(&mut self, path: &Path) {
        self.path = path.to_path_buf();
        self.seen = stamp(path);
        self.fresh = None;
    }

    /// Whether it was saved since the last call. Called a few times a second: a save counts when
    /// the file has been the same twice.
    pub fn saved(&mut self) -> bool {
        let told = self.told.try_iter().count() > 0;
        if !told && self.fresh.is_none() && self.looked.elapsed() < SELDOM {
            return false;
        }
        self.looked = Instant::now();
        let now = stamp(&self.path);
        if now.is_none() || now == self.seen {
            self.fresh = None;
            return false;
        }
        if now != self.fresh {
            self.fresh = now;
            return false;
        }
        (self.seen, self.fresh) = (now, None);
        true
    }
}

/// The kernel's notices (inotify), or a look every half second.
fn watcher(
    folder: &Path,
    heard: impl Fn(notify::Result<notify::Event>) + Send + Clone + 'static,
) -> Option<Box<dyn Watcher>> {
    let config = Config::default().with_poll_interval(Duration::from_millis(500));
    let inotify = RecommendedWatcher::new(heard.clone(), config).and_then(|mut watcher| {
        watcher.watch(folder, RecursiveMode::NonRecursive)?;
        Ok(watcher)
    });
    if let Ok(watcher) = inotify {
        return Some(Box::new(watcher));
    }
    let mut polling = PollWatcher::new(heard, config).ok()?;
    polling.watch(folder, RecursiveMode::NonRecursive).ok()?;
    Some(Box::new(polling))
}

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some(Stamp(about.mtime(), about.mtime_nsec(), about.len(), about.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_is_noticed_once_and_also_one_by_renaming() {
        let scratch = tempfile::tempdir().expect("a folder");
        let folder = scratch.path();
        let path = folder.join("program.rs");
        fs::write(&path, "one").expect("a file");
        let mut saves = Saves::new(folder);
        saves.follow(&path);
        fs::write(&path, "two, longer").expect("a file");
        testkit::wait_until("the save", || saves.saved());
        assert!(!saves.saved());
        fs::write(folder.join(".new"), "three, longest").expect("a file");
        fs::rename(folder.join(".new"), &path).expect("a rename");
        testkit::wait_until("the rename", || saves.saved());
    }
}
