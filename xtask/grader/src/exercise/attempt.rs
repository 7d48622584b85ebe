//! A learner's compiled program, which a check runs as often as it needs.

use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use super::failure::Failure;
use super::launch::{Launch, Seen, lock};
use super::record::Record;
use super::unwatched;

/// A program to check.
#[derive(Debug)]
pub struct Attempt {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

impl Attempt {
    /// A program with the name of its exercise, the compiled file, and its own folder for files.
    pub fn new(
        name: impl Into<String>,
        program: impl Into<PathBuf>,
        folder: impl Into<PathBuf>,
    ) -> Attempt {
        let (name, program, folder) = (name.into(), program.into(), folder.into());
        Attempt { name, program, folder, seen: Arc::default() }
    }

    /// The name of the exercise.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Prepares a run of the program. `did` says in the words of a verdict how the program is run:
    /// "The program was run with the tag 17."
    pub fn run(&self, did: impl Into<String>) -> Launch {
        Launch::new(self.program.clone(), did.into(), Arc::clone(&self.seen))
    }

    /// The record of the last run, for the learner.
    pub fn last_run(&self) -> Option<Record> {
        lock(&self.seen).last.take()
    }

    /// After a passed check: fails if something happened out of the tracer's sight, or if a run
    /// that ended by itself ends or prints differently without a tracer.
    ///
    /// # Errors
    /// `E-NOT-THROUGH-RING`, `E-OUTPUT`, `E-EXIT`; not observed, if a record was not complete.
    pub fn need_the_same_unwatched(&self) -> Result<(), Failure> {
        let (out_of_sight, ended) = {
            let mut seen = lock(&self.seen);
            (seen.out_of_sight.take(), std::mem::take(&mut seen.ended))
        };
        match out_of_sight {
            Some(failure) => Err(failure),
            None => ended.iter().try_for_each(|(launch, ended)| unwatched::same(launch, ended)),
        }
    }

    /// An empty folder for a check's files, which is removed after the check.
    ///
    /// # Errors
    /// Not observed, if it cannot be made.
    pub fn folder(&self) -> Result<&Path, Failure> {
        std::fs::create_dir_all(&self.folder).map_err(|error| {
            Failure::not_observed(format!("cannot make {}: {error}", self.folder.display()))
        })?;
        Ok(&self.folder)
    }

    /// A random number, which no program can know beforehand.
    pub fn number(&self, range: RangeInclusive<u64>) -> u64 {
        fastrand::u64(range)
    }

    /// A random `user_data`, which no program can know beforehand. It fits a positive i64 and is
    /// not small, so that no program uses it by chance.
    pub fn tag(&self) -> u64 {
        self.number(1 << 33..=(1 << 62))
    }

    /// A random word of lower-case letters.
    pub fn word(&self, length: usize) -> String {
        std::iter::repeat_with(fastrand::lowercase).take(length).collect()
    }

    /// Random words with this many bytes in all. Some letters are not ASCII, so that the numbers of
    /// bytes and letters differ.
    pub fn text(&self, bytes: usize) -> String {
        const LONGER: [&str; 4] = ["é", "ß", "я", "水"];
        let mut text = String::new();
        while text.len() < bytes {
            let left = bytes - text.len();
            let longer = LONGER[fastrand::usize(..LONGER.len())];
            if left >= longer.len() && (text.is_empty() || text.len() % 5 == 0) {
                text.push_str(longer);
            } else if left > 1 && !text.is_empty() && text.len() % 7 == 0 && !text.ends_with(' ') {
                text.push(' ');
            } else {
                text.push_str(&self.word(1));
            }
        }
        text
    }
}
