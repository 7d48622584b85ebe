//! A run that is being prepared, and what is kept of the runs of one check.

use std::ffi::OsString;
use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::failure::Failure;
use super::record::Record;

/// How long a program may do nothing before it counts as hanging. Only a hang that a slow machine
/// could explain takes this long; the others are found at once.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// The most events of a server: more than it needs for all its clients.
const EVENTS: usize = 400_000;

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
    /// A run of this program. `did` says in the words of a verdict how it is run.
    pub(super) fn new(program: PathBuf, did: String, seen: Arc<Mutex<Seen>>) -> Launch {
        Launch {
            program,
            args: Vec::new(),
            env: Vec::new(),
            stdin: Vec::new(),
            stdout: None,
            fast: false,
            patience: PATIENCE,
            events: EVENTS,
            did,
            file_limit: None,
            denied: None,
            seen,
        }
    }

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

/// The environment variables that a program does not get, because they show how it is run.
pub(super) fn unset() -> Vec<OsString> {
    let says = |name: &str| name.starts_with("CARGO") || name.starts_with("RUST");
    let names = std::env::vars_os().map(|(name, _)| name);
    names.filter(|name| says(&name.to_string_lossy())).collect()
}

/// The results of the runs of one check.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The record of the last finished run, which decided the verdict.
    pub(super) last: Option<Record>,
    /// Why a run cannot be trusted, if there is a reason.
    pub(super) out_of_sight: Option<Failure>,
    /// The runs that ended by themselves, which are repeated without a tracer.
    pub(super) ended: Vec<(Launch, Ended)>,
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
