//! Resets and their undo. A reset moves files to the workbook's folder `backup`, and an undo brings
//! them back. Nothing is overwritten without a copy there.
//!
//! - `backup/NAME.1.rs`: a program that was replaced by its starter, or by an earlier program;
//! - `backup/all.1`: all programs and the progress, moved there by a reset of everything. During
//!   the reset its name is `all.1.unfinished`, and after an interruption the next reset continues
//!   it.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nix::fcntl::Flock;

use super::exercises::Exercise;
use super::progress::Progress;
use super::workbook::{Workbook, lock, write_whole, written_now};

/// What a reset of everything moved away, or an undo brought back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Moved {
    /// The folder of the backup.
    pub folder: PathBuf,
    /// How many programs.
    pub programs: usize,
    /// How many exercises had been passed.
    pub passed: usize,
    /// Where an undo keeps programs that were written since the reset.
    pub kept: Vec<PathBuf>,
}

impl Workbook {
    /// Puts the starter back. Returns where the learner's program is kept; `None` if it was the
    /// starter.
    ///
    /// # Errors
    /// If the exercise is not begun, or a file cannot be written.
    pub fn reset(&self, exercise: &Exercise) -> Result<Option<PathBuf>> {
        let path = self.program(&exercise.name);
        ensure!(path.exists(), "{} is not begun: there is nothing to reset", exercise.name);
        let _alone = self.alone()?;
        let mine = read(&path)?;
        let starter = starter(exercise)?;
        if mine == starter {
            return Ok(None);
        }
        let backup = self.keep(&exercise.name, &mine)?;
        write_whole(&path, &starter)?;
        Ok(Some(backup))
    }

    /// Undoes a reset: the newest backup becomes the program again. Keeps the present program,
    /// unless it is the starter, and returns where.
    ///
    /// # Errors
    /// If there is no backup, or it cannot be written.
    pub fn undo(&self, exercise: &Exercise) -> Result<Option<PathBuf>> {
        let _alone = self.alone()?;
        let path = self.program(&exercise.name);
        let before = read_if_there(&path)?;
        let other = |(_, path): &(u32, PathBuf)| fs::read(path).ok() != before;
        let Some((_, newest)) = self.backups(&exercise.name).into_iter().rev().find(other) else {
            bail!("there is no other program of {} in the backup", exercise.name);
        };
        let kept = match before {
            Some(before) if before != starter(exercise)? => {
                Some(self.keep(&exercise.name, &before)?)
            }
            _ => None,
        };
        bring_back(&newest, &path)?;
        Ok(kept)
    }

    /// Resets everything: moves the programs and the progress to a backup. `None` if the learner
    /// had neither. Programs that belong to no exercise stay where they are.
    ///
    /// # Errors
    /// If something cannot be moved. The next reset continues with the rest, and an undo brings
    /// back the files moved so far.
    pub fn reset_all(&self, all: &[Exercise]) -> Result<Option<Moved>> {
        if !self.folder().exists() {
            return Ok(None);
        }
        let _alone = self.alone()?;
        let number = self.resets().last().map_or(1, |last| last.number + u32::from(last.finished));
        let finished = self.backup_folder().join(format!("all.{number}"));
        let folder = self.backup_folder().join(format!("all.{number}.unfinished"));
        for exercise in all {
            self.take_over(exercise)?;
            self.move_away(exercise, &folder)?;
        }
        let mut progress = Progress::load(self.folder())?;
        if progress.is_empty() {
            // Then only the current exercise may be noted.
            progress.change(|progress| (progress.current, progress.testing) = (None, false))?;
        } else {
            progress.move_to(&folder)?;
        }
        if !folder.exists() {
            return Ok(None);
        }
        fs::rename(&folder, &finished).with_context(|| format!("making {}", finished.display()))?;
        let passed = Progress::load(&finished)?.passed.len();
        let programs = programs_in(&finished).len();
        Ok(Some(Moved { folder: finished, programs, passed, kept: Vec::new() }))
    }

    /// Undoes the last reset of everything. Keeps later work: moves later programs to the other
    /// backups, and adds later progress.
    ///
    /// # Errors
    /// If there is no such reset, or something cannot be moved. Then the next undo continues with
    /// the rest.
    pub fn undo_all(&self, all: &[Exercise]) -> Result<Moved> {
        let _alone = self.alone()?;
        let full = |reset: &Reset| {
            reset.folder.join("progress.json").exists() || !programs_in(&reset.folder).is_empty()
        };
        let Some(Reset { folder, .. }) = self.resets().into_iter().rev().find(full) else {
            bail!(
                "there is no reset of everything to take back in {}",
                self.backup_folder().display()
            );
        };
        let mut moved = Moved { folder: folder.clone(), ..Moved::default() };
        for (name, kept) in programs_in(&folder) {
            let path = self.program(&name);
            let known = all.iter().find(|exercise| exercise.name == name);
            let starter = known.map(starter).transpose()?;
            match read_if_there(&path)? {
                Some(there) if Some(&there) != starter.as_ref() && there != read(&kept)? => {
                    moved.kept.push(self.keep(&name, &there)?);
                }
                _ => {}
            }
            bring_back(&kept, &path)?;
            moved.programs += 1;
        }
        let before = Progress::load(&folder)?;
        Progress::load(self.folder())?.change(|now| now.add(&before))?;
        moved.passed = before.passed.len();
        let _ = fs::remove_file(folder.join("progress.json"));
        // Other files in that folder stay.
        let _ = fs::remove_dir(&folder);
        Ok(moved)
    }

    /// Moves the learner's program to a folder. The starter needs no backup.
    fn move_away(&self, exercise: &Exercise, folder: &Path) -> Result<()> {
        let path = self.program(&exercise.name);
        if !path.exists() {
            return Ok(());
        }
        if fs::read(&path).is_ok_and(|mine| starter(exercise).is_ok_and(|starter| mine == starter))
        {
            return fs::remove_file(&path).with_context(|| format!("removing {}", path.display()));
        }
        let kept = folder.join(format!("{}.rs", exercise.name));
        if let Some(earlier) = read_if_there(&kept)? {
            // An interrupted reset left this one, and the learner began the exercise again.
            self.keep(&exercise.name, &earlier)?;
        }
        fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
        fs::rename(&path, &kept).with_context(|| format!("moving {}", path.display()))
    }

    fn backup_folder(&self) -> PathBuf {
        self.folder().join("backup")
    }

    /// Locks out other resets and undos.
    fn alone(&self) -> Result<Flock<File>> {
        ensure!(self.folder().exists(), "there is no workbook: no exercise is begun");
        lock(&self.folder().join(".backup.lock"))
    }

    /// The resets of everything, the newest last.
    fn resets(&self) -> Vec<Reset> {
        let mut resets: Vec<Reset> = entries(&self.backup_folder())
            .filter_map(|(name, folder)| {
                let number = name.strip_prefix("all.")?;
                let finished = !number.ends_with(".unfinished");
                let number = number.trim_end_matches(".unfinished").parse().ok()?;
                Some(Reset { number, finished, folder })
            })
            .collect();
        resets.sort_by_key(|reset| reset.number);
        resets
    }

    /// The backups of a program by number, the newest last.
    fn backups(&self, name: &str) -> Vec<(u32, PathBuf)> {
        let mut found: Vec<(u32, PathBuf)> = entries(&self.backup_folder())
            .filter_map(|(file, path)| {
                let number = file.strip_prefix(name)?.strip_prefix('.')?.strip_suffix(".rs")?;
                Some((number.parse().ok()?, path))
            })
            .collect();
        found.sort();
        found
    }

    fn keep(&self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        let number = self.backups(name).last().map_or(1, |(number, _)| number + 1);
        let path = self.backup_folder().join(format!("{name}.{number}.rs"));
        write_whole(&path, bytes)?;
        Ok(path)
    }
}

/// The backup of a reset of everything.
struct Reset {
    number: u32,
    finished: bool,
    folder: PathBuf,
}

/// The programs that a reset of everything moved to its folder, by the names of their exercises.
fn programs_in(folder: &Path) -> Vec<(String, PathBuf)> {
    let program =
        |(file, path): (String, PathBuf)| Some((file.strip_suffix(".rs")?.to_string(), path));
    entries(folder).filter_map(program).collect()
}

/// The names and paths in a folder; empty, if it cannot be read.
fn entries(folder: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    let named =
        |entry: fs::DirEntry| (entry.file_name().to_string_lossy().into_owned(), entry.path());
    fs::read_dir(folder).into_iter().flatten().flatten().map(named)
}

fn starter(exercise: &Exercise) -> Result<Vec<u8>> {
    read(&exercise.starter())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("reading {}", path.display()))
}

/// An unreadable file is an error; a missing one is `None`.
fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        read => Ok(Some(read.with_context(|| format!("reading {}", path.display()))?)),
    }
}

/// Renames a file, which needs no room on the disk, and at no moment leaves a half-written file.
/// Then sets its time to now: Cargo compares times, and this file may be older than the compiled
/// program.
fn bring_back(kept: &Path, path: &Path) -> Result<()> {
    written_now(kept);
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("making {}", folder.display()))?;
    fs::rename(kept, path).with_context(|| format!("writing {}", path.display()))
}
