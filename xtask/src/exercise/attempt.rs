//! A learner's program, compiled, to be run as often as a check wants.

use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use super::record::Record;
use super::run::Run;

/// How long a program may do nothing at all before it counts as hanging. Only a hang that
/// could be a slow machine takes so long; what cannot go on is found out at once.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// A program that is to be checked.
#[derive(Debug)]
pub struct Attempt {
    program: PathBuf,
    folder: PathBuf,
    last: Last,
}

/// What was seen of the last run that is over: the one that decided.
pub(super) type Last = Arc<Mutex<Option<Record>>>;

impl Attempt {
    /// With the compiled program, and a folder of its own for what it reads and writes.
    pub fn new(program: impl Into<PathBuf>, folder: impl Into<PathBuf>) -> Attempt {
        Attempt { program: program.into(), folder: folder.into(), last: Last::default() }
    }

    /// A run of the program, to be given arguments and started. `did` says in the words of a
    /// verdict how it is run: "The program was run with the tag 17."
    pub fn run(&self, did: impl Into<String>) -> Launch {
        Launch {
            program: self.program.clone(),
            args: Vec::new(),
            env: vec![("RUST_BACKTRACE".into(), "0".into())],
            stdin: Vec::new(),
            stdout: None,
            fast: false,
            patience: PATIENCE,
            did: did.into(),
            last: Arc::clone(&self.last),
        }
    }

    /// What was seen of the last run, for the learner to look at.
    pub fn last_run(&self) -> Option<Record> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// An empty folder for files that a check makes; it is removed after the check.
    ///
    /// # Errors
    /// Not observed, if it cannot be made.
    pub fn folder(&self) -> Result<&Path, Failure> {
        std::fs::create_dir_all(&self.folder).map_err(|error| {
            Failure::not_observed(format!("cannot make {}: {error}", self.folder.display()))
        })?;
        Ok(&self.folder)
    }

    /// A number that nobody can know beforehand.
    pub fn number(&self, range: RangeInclusive<u64>) -> u64 {
        let width = (range.end() - range.start()).saturating_add(1);
        range.start() + random() % width
    }

    /// A `user_data` that nobody can know beforehand; fits a positive i64 and is no small
    /// number, so that it is not met by chance.
    pub fn tag(&self) -> u64 {
        self.number(1 << 33..=(1 << 62))
    }

    /// A word of small letters that nobody can know beforehand.
    pub fn word(&self, length: usize) -> String {
        (0..length).map(|_| char::from(b'a' + (random() % 26) as u8)).collect()
    }
}

/// The standard library seeds every hasher at random: enough to be unpredictable.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// A run that is to be started.
#[derive(Debug)]
pub struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) stdin: Vec<u8>,
    pub(super) stdout: Option<File>,
    pub(super) fast: bool,
    pub(super) patience: Duration,
    pub(super) did: String,
    pub(super) last: Last,
}

impl Launch {
    /// With one more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Launch {
        self.args.push(arg.into());
        self
    }

    /// With an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Launch {
        self.env.push((name.into(), value.into()));
        self
    }

    /// With bytes to read from the standard input, and then its end.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Launch {
        self.stdin = bytes.into();
        self
    }

    /// With a file as its standard output; then nothing that it prints is recorded.
    #[must_use]
    pub fn stdout(mut self, file: File) -> Launch {
        self.stdout = Some(file);
        self
    }

    /// Without looking at system calls that have nothing to do with rings: faster, for many
    /// clients.
    #[must_use]
    pub fn fast(mut self) -> Launch {
        self.fast = true;
        self
    }

    /// With another patience than [`PATIENCE`], for programs that are to be slow.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Launch {
        self.patience = patience;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// Not observed, if it cannot be started or traced here.
    pub fn start(self) -> Result<Run, Failure> {
        Run::start(self)
    }

    /// Starts it and waits for its end.
    ///
    /// # Errors
    /// As [`Launch::start`]; a hang, explained, if it does not end.
    pub fn to_end(self) -> Result<Record, Failure> {
        self.start()?.end()
    }
}
