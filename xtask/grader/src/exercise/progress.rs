//! A learner's progress, in a file beside the programs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::cost::Cost;
use super::exercises::Exercise;
use super::workbook::{lock, write_whole};

/// The progress so far. Every change reads the file again and replaces it as a whole, so nothing is
/// lost if two programs write it or one is killed. Names of unknown exercises stay, because the
/// exercise may come back.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Progress {
    /// The passed exercises.
    pub passed: BTreeSet<String>,
    /// Exercises whose solution the learner looked at before passing.
    pub given_up: BTreeSet<String>,
    /// Exercises that cannot be observed on this machine.
    pub not_observed: BTreeSet<String>,
    /// Exercises before the one at which the learner began.
    pub skipped: BTreeSet<String>,
    /// The number of hints that the learner took.
    pub hints: BTreeMap<String, usize>,
    /// The lowest cost of a program that passed, for each exercise.
    pub best: BTreeMap<String, Cost>,
    /// The exercise that the learner worked on last.
    pub current: Option<String>,
    /// Whether that exercise is part of a placement test.
    pub testing: bool,
    /// Fields of a newer version of this program, which are kept.
    #[serde(flatten)]
    other: Map<String, Value>,
    #[serde(skip)]
    path: PathBuf,
    /// Where an unreadable file is kept.
    #[serde(skip)]
    spoilt: Option<PathBuf>,
}

impl Progress {
    /// Reads the progress; empty if there is no file. Keeps a spoilt file under another name, and
    /// [`Progress::notice`] says so.
    ///
    /// # Errors
    /// If the file cannot be read, or a spoilt one cannot be kept.
    pub fn load(folder: &Path) -> Result<Progress> {
        let path = folder.join("progress.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Ok(Progress { path, ..Progress::default() });
            }
            Err(error) => return Err(error).with_context(|| format!("reading {}", path.display())),
        };
        // Serde would read a JSON list as the fields in their order.
        if let Ok(object) = serde_json::from_slice::<Map<_, _>>(&bytes) {
            if let Ok(progress) = serde_json::from_value::<Progress>(object.into()) {
                return Ok(Progress { path, ..progress });
            }
        }
        let kept = (1..)
            .map(|number| folder.join(format!("progress.spoilt.{number}.json")))
            .find(|kept| !kept.exists());
        if let Some(kept) = &kept {
            fs::rename(&path, kept).with_context(|| format!("keeping {}", path.display()))?;
        }
        Ok(Progress { path, spoilt: kept, ..Progress::default() })
    }

    /// Changes the file's present content, which another program may have written. Returns the
    /// result of `change`.
    ///
    /// # Errors
    /// If the file cannot be read or written.
    pub fn change<T>(&mut self, change: impl FnOnce(&mut Progress) -> T) -> Result<T> {
        let folder = self.path.parent().unwrap_or(Path::new("."));
        // Held until the new file has replaced the old one.
        let _held = lock(&folder.join(".progress.lock"))?;
        let mut now = Progress::load(folder)?;
        now.spoilt = now.spoilt.or(self.spoilt.take());
        let changed = change(&mut now);
        now.write()?;
        *self = now;
        Ok(changed)
    }

    fn write(&self) -> Result<()> {
        let text = serde_json::to_string_pretty(self).context("the progress as JSON")?;
        write_whole(&self.path, text.as_bytes())
    }

    /// Moves all progress to a file in another folder, which may have some already, and starts
    /// again from nothing.
    ///
    /// # Errors
    /// If a file cannot be read or written. Then nothing is lost.
    pub fn move_to(&mut self, folder: &Path) -> Result<()> {
        let mut kept = Progress::load(folder)?;
        self.change(|now| {
            kept.add(now);
            kept.write()?;
            *now = Progress { path: now.path.clone(), ..Progress::default() };
            Ok(())
        })?
    }

    /// Adds another progress. Its current exercise replaces this one's.
    pub fn add(&mut self, other: &Progress) {
        self.passed.extend(other.passed.iter().cloned());
        self.given_up.extend(other.given_up.iter().cloned());
        self.not_observed.extend(other.not_observed.iter().cloned());
        self.skipped.extend(other.skipped.iter().cloned());
        for (name, taken) in &other.hints {
            let most = self.hints.entry(name.clone()).or_default();
            *most = (*most).max(*taken);
        }
        for (name, cost) in &other.best {
            self.keep_best(name, *cost);
        }
        self.other.extend(other.other.clone());
        if other.current.is_some() {
            (self.current, self.testing) = (other.current.clone(), other.testing);
        }
    }

    /// Whether the learner has done nothing yet, except to open an exercise.
    pub fn is_empty(&self) -> bool {
        let Progress { path, spoilt, current, testing, .. } = self.clone();
        *self == Progress { path, spoilt, current, testing, ..Progress::default() }
    }

    /// Counts progress under an exercise's former name for the exercise.
    pub fn rename(&mut self, all: &[Exercise]) {
        for exercise in all {
            let Some(old) = &exercise.about.formerly else { continue };
            for set in
                [&mut self.passed, &mut self.given_up, &mut self.not_observed, &mut self.skipped]
            {
                if set.remove(old) {
                    set.insert(exercise.name.clone());
                }
            }
            if let Some(taken) = self.hints.remove(old) {
                self.hints.insert(exercise.name.clone(), taken);
            }
            if let Some(cost) = self.best.remove(old) {
                self.keep_best(&exercise.name, cost);
            }
            if self.current.as_ref() == Some(old) {
                self.current = Some(exercise.name.clone());
            }
        }
    }

    /// Notes a passed exercise, and the program's cost.
    pub fn pass(&mut self, name: &str, cost: Option<Cost>) {
        for set in [&mut self.given_up, &mut self.not_observed, &mut self.skipped] {
            set.remove(name);
        }
        self.passed.insert(name.to_string());
        if let Some(cost) = cost {
            self.keep_best(name, cost);
        }
    }

    fn keep_best(&mut self, name: &str, cost: Cost) {
        let best = self.best.entry(name.to_string()).or_insert(cost);
        *best = cost.min(*best);
    }

    /// A notice, given once, that the file was unreadable.
    pub fn notice(&mut self) -> Option<String> {
        let kept = self.spoilt.take()?;
        Some(format!(
            "Your progress could not be read, so it starts again from nothing. The old file is \
             kept as {}. `cargo xtask exercise check NAME…` counts each program that passes.",
            kept.file_name().unwrap_or_default().to_string_lossy()
        ))
    }

    /// Whether the learner need do nothing more for an exercise.
    pub fn is_done(&self, name: &str) -> bool {
        [&self.passed, &self.given_up, &self.not_observed].iter().any(|set| set.contains(name))
    }

    /// Whether the next exercise is available after this one.
    pub fn is_behind(&self, name: &str) -> bool {
        self.is_done(name) || self.skipped.contains(name)
    }

    /// One character for a list: passed, given up, not observed, skipped, or open. A result
    /// outweighs that the exercise was skipped.
    pub fn mark(&self, name: &str) -> char {
        match name {
            name if self.passed.contains(name) => '+',
            name if self.given_up.contains(name) => 'x',
            name if self.not_observed.contains(name) => '?',
            name if self.skipped.contains(name) => '-',
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
    fn what_was_changed_is_loaded() {
        let folder = folder("progress_changed");
        let mut progress = Progress::load(&folder).expect("nothing yet");
        assert!(!progress.is_behind("first_nop"));
        let change = |progress: &mut Progress| {
            progress.passed.insert("first_nop".to_string());
            progress.hints.insert("one_enter".to_string(), 2);
        };
        progress.change(change).expect("a file in our folder");
        assert_eq!(Progress::load(&folder).expect("a file"), progress);
        assert!(progress.is_behind("first_nop"));
        fs::remove_dir_all(folder).expect("ours to remove");
    }

    #[test]
    fn two_at_a_time_lose_nothing() {
        let folder = folder("progress_two");
        std::thread::scope(|scope| {
            for writer in 0..4 {
                let folder = &folder;
                scope.spawn(move || {
                    let mut mine = Progress::load(folder).expect("a file or none");
                    for nth in 0..20 {
                        let name = format!("exercise_{writer}_{nth}");
                        mine.change(|all| all.passed.insert(name)).expect("a change");
                    }
                });
            }
        });
        assert_eq!(Progress::load(&folder).expect("a file").passed.len(), 80);
        fs::remove_dir_all(folder).expect("ours to remove");
    }

    #[test]
    fn the_best_program_counts_whatever_comes_after_it() {
        let cost = |enters, entries| Cost { enters, entries };
        let mut mine = Progress::default();
        for took in [cost(3, 8), cost(1, 9), cost(1, 8), cost(2, 8)] {
            mine.pass("one_enter", Some(took));
        }
        assert_eq!(mine.best["one_enter"], cost(1, 8));
        let mut other = Progress::default();
        other.pass("one_enter", Some(cost(8, 8)));
        other.pass("rearm", Some(cost(2, 4)));
        other.pass("chain", None);
        mine.add(&other);
        assert_eq!(mine.best.into_values().collect::<Vec<_>>(), [cost(1, 8), cost(2, 4)]);
    }

    #[test]
    fn every_spoilt_file_is_kept_and_said() {
        let folder = folder("progress_spoilt");
        let spoilt: [&[u8]; 5] = [b"{\"passed\": [", b"", b"[]", b"\xff\xfe", b"{\"passed\": 1}"];
        for (nth, bytes) in (1..).zip(spoilt) {
            fs::write(folder.join("progress.json"), bytes).expect("a file");
            let mut progress = Progress::load(&folder).expect("a new beginning");
            assert!(progress.passed.is_empty());
            let name = format!("progress.spoilt.{nth}.json");
            assert_eq!(fs::read(folder.join(&name)).expect("kept"), bytes);
            assert!(progress.notice().is_some_and(|words| words.contains(&name)));
            assert_eq!(progress.notice(), None, "said once");
        }
        fs::remove_dir_all(folder).expect("ours to remove");
    }
}
