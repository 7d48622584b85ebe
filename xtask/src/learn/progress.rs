//! What a learner has done, in a file beside the programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::exercise::workbook::write_whole;

/// What was done so far. Written whole at every change, so that a program that is killed
/// loses nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// Exercises that were passed.
    pub passed: BTreeSet<String>,
    /// Exercises whose solution was looked at before.
    pub given_up: BTreeSet<String>,
    /// Exercises that this machine cannot decide.
    pub not_observed: BTreeSet<String>,
    /// How many hints were taken.
    pub hints: BTreeMap<String, usize>,
    /// The one that was worked on last.
    pub current: Option<String>,
    #[serde(skip)]
    path: PathBuf,
}

impl Progress {
    /// Reads it. One that is not there, or was spoilt by hand, begins anew; the spoilt one is
    /// kept beside it.
    pub fn load(workbook: &Path) -> Progress {
        let path = workbook.join("progress.json");
        let read = fs::read_to_string(&path).ok();
        let progress = match read.as_deref().map(serde_json::from_str::<Progress>) {
            Some(Ok(progress)) => progress,
            Some(Err(_)) => {
                let _ = fs::rename(&path, path.with_extension("json.spoilt"));
                Progress::default()
            }
            None => Progress::default(),
        };
        Progress { path, ..progress }
    }

    /// Writes it.
    ///
    /// # Errors
    /// If the file cannot be written.
    pub fn save(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the progress as JSON")?;
        write_whole(&self.path, text.as_bytes())
    }

    /// Whether the next exercise is open after this one.
    pub fn is_behind(&self, name: &str) -> bool {
        [&self.passed, &self.given_up, &self.not_observed].iter().any(|set| set.contains(name))
    }

    /// One character for a list: passed, given up, not observed, or open.
    pub fn mark(&self, name: &str) -> char {
        match name {
            name if self.passed.contains(name) => '+',
            name if self.given_up.contains(name) => 'x',
            name if self.not_observed.contains(name) => '?',
            _ => ' ',
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("{name}.{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).expect("a folder for the test");
        folder
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = folder("progress_saved");
        let mut progress = Progress::load(&folder);
        assert!(!progress.is_behind("first_nop"));
        progress.passed.insert("first_nop".to_string());
        progress.hints.insert("one_enter".to_string(), 2);
        progress.save().expect("a file in our folder");
        assert_eq!(Progress::load(&folder), progress);
        assert!(progress.is_behind("first_nop"));
        fs::remove_dir_all(folder).expect("ours to remove");
    }

    #[test]
    fn a_spoilt_file_is_kept_and_a_new_one_begun() {
        let folder = folder("progress_spoilt");
        fs::write(folder.join("progress.json"), "{\"passed\": [").expect("a file");
        let progress = Progress::load(&folder);
        assert!(progress.passed.is_empty());
        assert!(folder.join("progress.json.spoilt").exists());
        fs::remove_dir_all(folder).expect("ours to remove");
    }
}
