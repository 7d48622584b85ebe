//! The events as lines of JSON, for programs. `schema.json` beside this file describes them:
//! a test generates it from the types.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use serde::Serialize;

use super::event::Event;
use super::summary::Summary;
use super::watch::Sink;

/// The format's version, in the first line. It changes when a field changes its meaning or
/// disappears; a new field does not change it.
pub const FORMAT: u32 = 1;

/// A line that is not an event.
#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Frame {
    us: u64,
    tid: i32,
    #[serde(flatten)]
    what: FrameLine,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(tag = "event", rename_all = "snake_case")]
enum FrameLine {
    /// The first line.
    Trace {
        /// Changes when a field changes its meaning or disappears.
        #[cfg_attr(test, schemars(extend("const" = FORMAT)))]
        format: u32,
    },
    /// The last line.
    Summary(Box<Summary>),
}

/// Writes one event a line.
#[derive(Clone)]
pub struct Lines(Arc<Mutex<Inner>>);

struct Inner {
    out: Box<dyn Write + Send>,
    /// The first error; nothing is written after it.
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
        lines.write(&Frame { us: 0, tid: 0, what: FrameLine::Trace { format: FORMAT } });
        match lines.lock().failure.take() {
            Some(error) => Err(error),
            None => Ok(lines.clone()),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn write(&self, value: &impl Serialize) {
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
    /// The first error of all writes.
    pub fn finish(&self, us: u64, summary: &Summary) -> io::Result<()> {
        self.write(&Frame { us, tid: 0, what: FrameLine::Summary(Box::new(summary.clone())) });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(schemars::JsonSchema)]
    #[schemars(untagged, title = "A line of `cargo xtask trace --json FILE`")]
    #[allow(dead_code, reason = "only its schema counts")]
    enum Line {
        Event(Box<Event>),
        Frame(Frame),
    }

    #[test]
    fn the_schema_is_what_the_types_say() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/schema.json");
        let settings = schemars::generate::SchemaSettings::draft2020_12().for_serialize();
        let schema = settings.into_generator().into_root_schema_for::<Line>().to_value();
        if std::env::var_os("UPDATE_SCHEMA").is_some() {
            let text = serde_json::to_string_pretty(&schema).expect("JSON");
            std::fs::write(path, text + "\n").expect("a file of the checkout");
        }
        let kept = std::fs::read_to_string(path).expect("the schema");
        let kept: serde_json::Value = serde_json::from_str(&kept).expect("JSON");
        assert!(
            kept == schema,
            "src/trace/schema.json is not what the types say. To write it again:\n    \
             UPDATE_SCHEMA=1 cargo test -p ringtrace --lib the_schema"
        );
    }
}
