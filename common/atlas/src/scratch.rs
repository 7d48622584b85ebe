//! A folder for the files of one entry.

use std::ffi::CString;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use anyhow::{Context, Result};

/// A separate folder for an entry's files. The page removes it at the end.
#[derive(Clone, Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub(crate) fn make(entry: &str) -> Result<Scratch> {
        let folder = format!("atlas-{entry}-{}", std::process::id());
        let path = std::env::temp_dir().join(folder);
        fs::create_dir(&path).with_context(|| {
            let name = path.display();
            format!(
                "making the folder {name} (`TMPDIR=FOLDER` before the command chooses where: a \
                 folder that this user may write to)"
            )
        })?;
        Ok(Scratch(path))
    }

    /// The path of a file in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// The same for entries that take a path.
    ///
    /// # Errors
    /// If the path has a zero byte in it.
    pub fn c_path(&self, name: &str) -> Result<CString> {
        CString::new(self.path(name).as_os_str().as_bytes()).context("a path without zero bytes")
    }

    /// A new file in it, open for reading and writing.
    ///
    /// # Errors
    /// If there is one with that name, or the file system refuses.
    pub fn file(&self, name: &str) -> Result<File> {
        let path = self.path(name);
        let mut options = File::options();
        let file = options.read(true).write(true).create_new(true).open(&path);
        file.with_context(|| format!("making the file {}", path.display()))
    }

    pub(crate) fn remove(&self) {
        // If that fails, the rest stays in the folder for temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
