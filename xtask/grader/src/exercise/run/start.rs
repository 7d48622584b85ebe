//! The start of a program.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use ringtrace::Trace;
use ringtrace::launch::Program;

use super::Run;
use crate::exercise::failure::Failure;
use crate::exercise::launch::{Ended, Launch, lock, unset};
use crate::exercise::printed::Printed;
use crate::exercise::record::Record;

/// The most events of a program that ends by itself: more than it needs.
const FEW_EVENTS: usize = 10_000;

impl Launch {
    /// Starts the program.
    ///
    /// # Errors
    /// Not observed, if the program cannot be started or traced on this machine.
    pub fn start(self) -> Result<Run, Failure> {
        let broken = |error: nix::Error| Failure::not_observed(format!("no pipe: {error}"));
        let (stdin, feed) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        let (out, pipe) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        let stdout = self.stdout.map_or(pipe, OwnedFd::from);
        let (err, stderr) = pipe2(OFlag::O_CLOEXEC).map_err(broken)?;
        let (stdout_is, stderr_is) = (file_of(&stdout), file_of(&stderr));
        let program = Program {
            program: self.program.into_os_string(),
            args: self.args,
            env: self.env,
            unset: unset(),
            file_limit: self.file_limit,
            denied: self.denied,
            stdin: Some(stdin),
            stdout: Some(stdout),
            stderr: Some(stderr),
            fast: self.fast,
            tracepoints: false,
        };
        // The exercises use the tokens of `common::token`, like the days.
        let trace = Trace::start(program, true, Vec::new())
            .map_err(|refusal| Failure::not_observed(refusal.to_string()))?;
        let (stdout, stderr) = (Printed::new(out), Printed::new(err));
        let bytes = self.stdin;
        // If the program does not read its input, the thread ends when the pipe breaks.
        thread::spawn(move || File::from(feed).write_all(&bytes));
        Ok(Run {
            pid: trace.pid(),
            trace: Some(trace),
            done: None,
            stdout,
            stderr,
            stdout_is,
            stderr_is,
            did: self.did,
            patience: self.patience,
            events: self.events,
            began: Instant::now(),
            address: None,
            slots_before: Vec::new(),
            burnt: Duration::ZERO,
            seen: self.seen,
        })
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
}

/// The file of one of our descriptors.
fn file_of(fd: &OwnedFd) -> String {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()));
    link.map_or_else(|_| String::new(), |file| file.display().to_string())
}
