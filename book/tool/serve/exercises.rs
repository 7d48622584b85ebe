//! The reader's own programs: their progress, and a check at each save.
//!
//! `cargo xtask exercise` keeps the progress and decides, as for `learn`; this module only has what
//! a page needs. A page asks twice a second; programs are checked while a page asks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::runs::{EMULATED, Machine, emulated_kernel};
use crate::paths;
use crate::problem::Complaint;
use crate::transcript::run;

/// The exercises, and the state of the reader's programs.
#[derive(Debug)]
pub struct Exercises {
    root: PathBuf,
    /// `cargo xtask`.
    xtask: String,
    known: Mutex<Known>,
    /// Two checks at a time would only be slower.
    checking: Mutex<()>,
}

#[derive(Debug, Default)]
struct Known {
    all: BTreeMap<String, Exercise>,
    /// The progress file, when the list was made.
    progress: Option<Stamp>,
    listed: bool,
    listing: bool,
    tried: Option<Instant>,
    /// Why there is no list.
    problem: Option<String>,
}

#[derive(Debug, Default)]
struct Exercise {
    listed: Listed,
    /// The program at the last look; a save is checked when the file was the same twice.
    seen: Option<Stamp>,
    fresh: Option<Stamp>,
    looked: bool,
    checking: bool,
    /// The verdict of the last check, or why there was none.
    verdict: Option<Result<Value, String>>,
    /// How many verdicts there were so far.
    version: u64,
}

/// The fields of `exercise list --json` that a page needs.
#[derive(Clone, Debug, Default, Deserialize)]
struct Listed {
    exercise: String,
    state: String,
    program: PathBuf,
}

/// A file's time, length and inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp(i64, i64, u64, u64);

/// The state of all exercises, for a page.
#[derive(Debug, Serialize)]
pub struct Look {
    /// Why it is not known.
    problem: Option<String>,
    /// It is not known yet: the program that checks may have to be built first.
    waiting: bool,
    exercises: BTreeMap<String, State>,
    /// The kernel of the emulated machine, if there is an emulator.
    emulated: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct State {
    /// As `exercise list` has it: passed, given up, skipped, begun, or nothing.
    state: String,
    /// The path for the reader's editor.
    program: String,
    begun: bool,
    checking: bool,
    version: u64,
}

impl Exercises {
    /// Nothing is known yet.
    pub fn new(root: &Path, xtask: &str) -> Self {
        let (root, xtask) = (root.to_owned(), xtask.to_owned());
        Self { root, xtask, known: Mutex::default(), checking: Mutex::default() }
    }

    /// The state of all exercises. Files that were saved since the last look are checked.
    pub fn look(self: &Arc<Self>) -> Look {
        let mut known = self.lock();
        let progress = known.progress_now();
        let just_tried = known.tried.is_some_and(|tried| tried.elapsed() < Duration::from_secs(5));
        let changed = known.progress != progress || (!known.listed && !just_tried);
        if changed && !known.listing {
            known.listing = true;
            known.tried = Some(Instant::now());
            let this = Arc::clone(self);
            std::thread::spawn(move || this.list());
        }
        let saved: Vec<String> = known
            .all
            .iter_mut()
            .filter_map(|(name, exercise)| exercise.was_saved().then(|| name.clone()))
            .collect();
        for name in &saved {
            self.start(&mut known, name, Machine::This);
        }
        let state = |exercise: &Exercise| State {
            state: exercise.listed.state.clone(),
            program: paths::name(&self.root, &exercise.listed.program),
            begun: exercise.seen.is_some(),
            checking: exercise.checking,
            version: exercise.version,
        };
        Look {
            problem: known.problem.clone(),
            waiting: !known.listed && known.problem.is_none(),
            exercises: known.all.iter().map(|(name, it)| (name.clone(), state(it))).collect(),
            emulated: emulated_kernel(),
        }
    }

    /// The last verdict on a program, with its rings.
    pub fn verdict(&self, name: &str) -> Result<Value, String> {
        let known = self.lock();
        let exercise = known.all.get(name).ok_or("there is no such exercise")?;
        exercise.verdict.clone().unwrap_or_else(|| Err("it was not checked yet".to_owned()))
    }

    /// Checks a program now. A missing program is first made from the starter.
    pub fn check(self: &Arc<Self>, name: &str, machine: Machine) -> Result<(), String> {
        let mut known = self.lock();
        if !known.all.contains_key(name) {
            return Err("there is no such exercise".to_owned());
        }
        self.start(&mut known, name, machine);
        Ok(())
    }

    /// The solution, once the reader has passed or given up.
    pub fn solution(&self, name: &str) -> Result<String, String> {
        let state = self.lock().all.get(name).map(|exercise| exercise.listed.state.clone());
        match state.as_deref() {
            Some("passed" | "given up") => self.ask(&format!("solution {name}")),
            Some(_) => Err("the solution opens when you have passed, or given up".to_owned()),
            None => Err("there is no such exercise".to_owned()),
        }
    }

    /// Notes that the reader gives up, and returns the solution.
    pub fn give_up(&self, name: &str) -> Result<String, String> {
        if !self.lock().all.contains_key(name) {
            return Err("there is no such exercise".to_owned());
        }
        let solution = self.ask(&format!("solution --give-up {name}"));
        self.list();
        solution
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a check. If one is under way, a save in the meantime is checked after it.
    fn start(self: &Arc<Self>, known: &mut Known, name: &str, machine: Machine) {
        let Some(exercise) = known.all.get_mut(name).filter(|it| !it.checking) else { return };
        exercise.checking = true;
        let (this, name) = (Arc::clone(self), name.to_owned());
        std::thread::spawn(move || {
            let verdict = this.judge(&name, machine);
            let mut known = this.lock();
            if let Some(exercise) = known.all.get_mut(&name) {
                // A starter that was just written is not a save.
                exercise.seen = exercise.seen.or_else(|| stamp(&exercise.listed.program));
                exercise.checking = false;
                exercise.verdict = Some(verdict);
                exercise.version += 1;
            }
            drop(known);
            this.list();
        });
    }

    /// Compiles, runs and judges a program.
    fn judge(&self, name: &str, machine: Machine) -> Result<Value, String> {
        let _one_at_a_time = self.checking.lock().unwrap_or_else(PoisonError::into_inner);
        let check = format!("check --json --rings {name}");
        let printed = match machine {
            Machine::This => self.ask(&check)?,
            Machine::Emulated => self.run(&format!("{EMULATED}cargo xtask exercise {check}"))?,
        };
        let objects = printed.lines().filter_map(|line| serde_json::from_str(line).ok());
        let mut object = objects.into_iter().find(Value::is_object).ok_or(printed)?;
        object["emulated"] = (machine == Machine::Emulated).into();
        Ok(object)
    }

    /// Asks for the list.
    fn list(&self) {
        let progress = self.lock().progress_now();
        let printed = self.ask("list --json");
        let mut known = self.lock();
        known.listing = false;
        let listed: Vec<Listed> = match &printed {
            Ok(lines) => lines.lines().filter_map(|it| serde_json::from_str(it).ok()).collect(),
            Err(_) => Vec::new(),
        };
        known.problem = match printed {
            Ok(words) if listed.is_empty() => Some(words),
            Ok(_) => None,
            Err(why) => Some(why),
        };
        known.listed = known.problem.is_none();
        known.progress = progress;
        for one in listed {
            let exercise = known.all.entry(one.exercise.clone()).or_default();
            exercise.listed = one;
        }
    }

    /// The output of `cargo xtask exercise`.
    fn ask(&self, what: &str) -> Result<String, String> {
        self.run(&format!("{} exercise {what}", self.xtask))
    }

    /// The output of a command.
    fn run(&self, command: &str) -> Result<String, String> {
        let words = |wrong: Complaint| format!("{}\n{}", wrong.what, wrong.remedy);
        // Cargo's exit status is that of the check: a program that fails is an answer.
        let (_, printed) =
            run::alone(&self.root, command, &AtomicBool::new(false)).map_err(words)?;
        Ok(printed)
    }
}

impl Known {
    /// The progress file, which lies in the workbook, as `workbook/src/bin/NAME.rs` does.
    fn progress_now(&self) -> Option<Stamp> {
        let program = &self.all.values().next()?.listed.program;
        stamp(&program.ancestors().nth(3)?.join("progress.json"))
    }
}

impl Exercise {
    /// Whether the program was saved since the last look.
    fn was_saved(&mut self) -> bool {
        let now = stamp(&self.listed.program);
        if !std::mem::replace(&mut self.looked, true) {
            self.seen = now;
        }
        if now.is_none() || now == self.seen || self.checking {
            if now.is_none() {
                self.seen = None;
            }
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

fn stamp(path: &Path) -> Option<Stamp> {
    let about = fs::metadata(path).ok()?;
    Some(Stamp(about.mtime(), about.mtime_nsec(), about.len(), about.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_save_counts_once_and_the_first_look_does_not() {
        let scratch = tempfile::tempdir().unwrap();
        let program = scratch.path().join("x.rs");
        let listed = Listed { program: program.clone(), ..Listed::default() };
        let mut exercise = Exercise { listed, ..Exercise::default() };
        fs::write(&program, "one").unwrap();
        assert!(!exercise.was_saved() && !exercise.was_saved());
        fs::write(&program, "two, longer").unwrap();
        assert!(!exercise.was_saved(), "an editor may still write");
        assert!(exercise.was_saved());
        assert!(!exercise.was_saved());
        exercise.checking = true;
        fs::write(&program, "three, longest").unwrap();
        assert!(!exercise.was_saved() && !exercise.was_saved());
        exercise.checking = false;
        assert!(!exercise.was_saved() && exercise.was_saved(), "after the check");
        fs::remove_file(&program).unwrap();
        assert!(!exercise.was_saved() && exercise.seen.is_none());
    }
}
