//! A folder for the files of one test.

use std::fs::{self, Permissions};
use std::io;
use std::ops::Deref;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::io_uring_or_skip;

/// A folder of its own, for any user to write to. Dropping it removes it.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// A folder on a disk, where the machine has one: not in `/tmp`, which is often in memory.
    /// `TMPDIR` chooses another place.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new(test: &str) -> Folder {
        let parent = std::env::var_os("TMPDIR").unwrap_or("/var/tmp".into());
        Folder::within(Path::new(&parent), test).expect("a folder for temporary files")
    }

    /// A folder for a test that needs a ring, as [`io_uring_or_skip`].
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn or_skip(test: &str) -> Option<Folder> {
        io_uring_or_skip(test).then(|| Folder::new(test))
    }

    /// A folder in `parent`.
    ///
    /// # Errors
    /// If it cannot be made.
    pub fn within(parent: &Path, test: &str) -> io::Result<Folder> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = parent.join(format!("{test}-{}-{number}", std::process::id()));
        fs::create_dir(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o777))?;
        Ok(Folder(path))
    }

    /// The names of what is in it.
    ///
    /// # Panics
    /// If it is gone.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.0).expect("the folder is there");
        let name = |entry: io::Result<fs::DirEntry>| {
            entry.expect("an entry").file_name().to_string_lossy().into_owned()
        };
        entries.map(name).collect()
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // If that fails, the rest stays in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
