//! A server's output, read by threads while it runs.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::process::Child;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

/// The output of a child, filled by two threads.
#[derive(Debug, Default)]
pub(super) struct Log {
    lines: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Lines {
    pub(super) events: Vec<Value>,
    /// The first line that is not a JSON object.
    pub(super) strange: Option<String>,
    pub(super) stderr: String,
    /// Pipes that are still open: stdout, stderr.
    open: [bool; 2],
}

pub(super) enum First {
    Event(Value),
    Strange(String),
    End,
    Silence,
}

impl Log {
    pub(super) fn follow(child: &mut Child) -> Arc<Log> {
        let log = Arc::new(Log::default());
        log.lock().open = [true; 2];
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (out, err) = (Arc::clone(&log), Arc::clone(&log));
        std::thread::spawn(move || out.read_events(stdout));
        std::thread::spawn(move || err.read_stderr(stderr));
        log
    }

    fn read_events(&self, stdout: impl Read) {
        for line in BufReader::new(stdout).split(b'\n') {
            let Ok(line) = line else { break };
            let parsed = serde_json::from_slice(&line).ok().filter(Value::is_object);
            let mut lines = self.lock();
            match parsed {
                Some(event) => lines.events.push(event),
                None => {
                    let text = String::from_utf8_lossy(&line).into_owned();
                    lines.strange.get_or_insert(text);
                }
            }
            self.changed.notify_all();
        }
        self.lock().open[0] = false;
        self.changed.notify_all();
    }

    fn read_stderr(&self, mut stderr: impl Read) {
        let mut part = [0; 4096];
        loop {
            match stderr.read(&mut part) {
                Ok(len @ 1..) => {
                    self.lock().stderr.push_str(&String::from_utf8_lossy(&part[..len]));
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                _ => break,
            }
        }
        self.lock().open[1] = false;
        self.changed.notify_all();
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Lines> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready` says so, at most `patience`.
    fn wait(&self, patience: Duration, ready: impl Fn(&Lines) -> bool) -> MutexGuard<'_, Lines> {
        let deadline = Instant::now() + patience;
        let mut lines = self.lock();
        while !ready(&lines) {
            let Some(left) = deadline.checked_duration_since(Instant::now()) else { break };
            lines =
                self.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        lines
    }

    pub(super) fn first_line(&self, patience: Duration) -> First {
        let ready =
            |lines: &Lines| !lines.events.is_empty() || lines.strange.is_some() || !lines.open[0];
        let lines = self.wait(patience, ready);
        match (lines.events.first(), &lines.strange, lines.open[0]) {
            (Some(event), ..) => First::Event(event.clone()),
            (None, Some(line), _) => First::Strange(line.clone()),
            (None, None, false) => First::End,
            (None, None, true) => First::Silence,
        }
    }

    /// Everything, once both pipes are closed.
    pub(super) fn end(&self, patience: Duration) -> Lines {
        self.wait(patience, |lines| lines.open == [false; 2]).clone()
    }
}
