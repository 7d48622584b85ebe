//! The events as lines of JSON, for programs. `schema.json` beside this file describes them.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::event::Event;
use super::summary::Summary;
use super::watch::Sink;

/// The format's version, in the first line. It changes when a field changes its meaning or
/// goes; a new field is no change.
pub const FORMAT: u32 = 1;

/// Writes one event a line.
#[derive(Clone)]
pub struct Lines(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    /// The first thing that went wrong; nothing is written after it.
    failure: Option<io::Error>,
}

impl Lines {
    /// Writes to a file, or for `-` to standard output.
    ///
    /// # Errors
    /// If the file cannot be made or written to.
    pub fn create(path: &Path) -> io::Result<Lines> {
        let out: Box<dyn Write + Send> = if path.as_os_str() == "-" {
            Box::new(io::stdout())
        } else {
            Box::new(BufWriter::new(File::create(path)?))
        };
        let lines = Lines(Arc::new(Mutex::new(Inner { out, failure: None })));
        lines.write(&json!({ "us": 0, "tid": 0, "event": "trace", "format": FORMAT }));
        match lines.lock().failure.take() {
            Some(error) => Err(error),
            None => Ok(lines.clone()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self, value: &impl serde::Serialize) {
        let mut inner = self.lock();
        if inner.failure.is_none() {
            let mut line = serde_json::to_vec(value).unwrap_or_default();
            line.push(b'\n');
            inner.failure = inner.out.write_all(&line).err();
        }
    }

    /// Writes the totals as the last line.
    ///
    /// # Errors
    /// The first thing that went wrong in all the writing.
    pub fn finish(&self, us: u64, summary: &Summary) -> io::Result<()> {
        let mut value = serde_json::to_value(summary)?;
        value["us"] = us.into();
        value["tid"] = 0.into();
        value["event"] = "summary".into();
        self.write(&value);
        let mut inner = self.lock();
        match inner.failure.take() {
            Some(error) => Err(error),
            None => inner.out.flush(),
        }
    }
}

impl Sink for Lines {
    fn take(&mut self, events: &[Event]) {
        for event in events {
            self.write(event);
        }
        // A reader that follows the file sees what has happened so far.
        let mut inner = self.lock();
        if inner.failure.is_none() {
            inner.failure = inner.out.flush().err();
        }
    }
}
