//! A learner's compiled program, which a check runs as often as it needs.

use std::ffi::OsString;
use std::fs::File;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use super::record::Record;
use super::run::Run;
use super::unwatched;

/// How long a program may do nothing before it counts as hanging. Only a hang that a slow machine
/// could explain takes this long; the others are found at once.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// The most events of a server: more than it needs for all its clients.
const EVENTS: usize = 400_000;
/// The most events of a program that ends by itself: more than it needs.
const FEW_EVENTS: usize = 10_000;

/// A program to check.
#[derive(Debug)]
pub struct Attempt {
    name: String,
    program: PathBuf,
    folder: PathBuf,
    seen: Arc<Mutex<Seen>>,
}

/// The results of the runs of one check.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The record of the last finished run, which decided the verdict.
    last: Option<Record>,
    /// Why a run cannot be trusted, if there is a reason.
    out_of_sight: Option<Failure>,
    /// The runs that ended by themselves, which are repeated without a tracer.
    ended: Vec<(Launch, Ended)>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) status: Option<i32>,
    /// The printed lines, sorted, because completions come in any order.
    pub(super) printed: Vec<String>,
    /// Whether a plain system call wrote to the standard output.
    pub(super) wrote: bool,
}

impl Ended {
    pub(super) fn of(record: &Record) -> Ended {
        let mut printed: Vec<String> = record.stdout.lines().map(str::to_string).collect();
        printed.sort();
        let wrote = !record.plain_writes_into(&record.stdout_is).is_empty();
        Ended { status: record.status, printed, wrote }
    }
}

pub(super) fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seen {
    /// Notes a finished run.
    pub(super) fn over(&mut self, record: &Record) {
        self.out_of_sight = self.out_of_sight.take().or_else(|| record.out_of_sight());
        self.last = Some(record.clone());
    }
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
        Launch {
            program: self.program.clone(),
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            stdout: None,
            fast: false,
            patience: PATIENCE,
            events: EVENTS,
            did: did.into(),
            file_limit: None,
            denied: None,
            seen: Arc::clone(&self.seen),
        }
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

/// The environment variables that a program does not get, because they show how it is run.
pub(super) fn unset() -> Vec<OsString> {
    let says = |name: &str| name.starts_with("CARGO") || name.starts_with("RUST");
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| says(&name.to_string_lossy())).collect()
}

/// A run that is being prepared.
#[derive(Debug)]
pub struct Launch {
    pub(super) program: PathBuf,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(OsString, OsString)>,
    pub(super) stdin: Vec<u8>,
    pub(super) stdout: Option<File>,
    pub(super) fast: bool,
    pub(super) patience: Duration,
    pub(super) events: usize,
    pub(super) did: String,
    pub(super) file_limit: Option<u64>,
    pub(super) denied: Option<u8>,
    pub(super) seen: Arc<Mutex<Seen>>,
}

impl Launch {
    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<OsString>) -> Launch {
        self.args.push(arg.into());
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Launch {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Gives the program bytes on its standard input, and then its end.
    #[must_use]
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Launch {
        self.stdin = bytes.into();
        self
    }

    /// Gives the program a file as its standard output. Then the record has no output.
    #[must_use]
    pub fn stdout(mut self, file: File) -> Launch {
        self.stdout = Some(file);
        self
    }

    /// Limits the size of files (`RLIMIT_FSIZE`), so that a later write can fail: a write that
    /// begins at the limit fails with EFBIG, and a write across it is short.
    #[must_use]
    pub fn file_limit(mut self, bytes: u64) -> Launch {
        self.file_limit = Some(bytes);
        self
    }

    /// Removes an operation from the answer to the program's probe, although the kernel has it.
    #[must_use]
    pub fn denied(mut self, operation: u8) -> Launch {
        self.denied = Some(operation);
        self
    }

    /// Records no system calls outside the ring, which is faster with many clients.
    #[must_use]
    pub fn fast(mut self) -> Launch {
        self.fast = true;
        self
    }

    /// Sets another patience than [`PATIENCE`], for programs that must be slow.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Launch {
        self.patience = patience;
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    /// Not observed, if the program cannot be started or traced on this machine.
    pub fn start(self) -> Result<Run, Failure> {
        Run::start(self)
    }

    /// Starts the program and waits for its end, which comes within a few thousand events.
    ///
    /// # Errors
    /// As [`Launch::start`]; an explained hang if it does not end.
    pub fn to_end(mut self) -> Result<Record, Failure> {
        self.events = FEW_EVENTS;
        // A probe can be changed only under a tracer.
        let again = self.again().filter(|launch| launch.denied.is_none());
        let seen = Arc::clone(&self.seen);
        let record = self.start()?.end()?;
        if let Some(launch) = again {
            lock(&seen).ended.push((launch, Ended::of(&record)));
        }
        Ok(record)
    }

    /// A copy of this value; `None` if its standard output cannot be copied.
    pub(super) fn again(&self) -> Option<Launch> {
        let stdout = match &self.stdout {
            Some(file) => Some(file.try_clone().ok()?),
            None => None,
        };
        Some(Launch {
            program: self.program.clone(),
            args: self.args.clone(),
            env: self.env.clone(),
            stdin: self.stdin.clone(),
            stdout,
            did: self.did.clone(),
            seen: Arc::default(),
            ..*self
        })
    }
}
