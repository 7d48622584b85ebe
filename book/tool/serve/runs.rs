//! Runs what stands in the book: a transcript with its own commands, a figure with the clients of
//! its recording. One at a time, within the deadlines of [`run`], as long as somebody listens.
//!
//! A request says which by a name; nothing else of it reaches a shell. The page gets a line of
//! JSON for each thing that happens ([`Event`]). When its connection ends, the run is stopped; when
//! this program ends, so does all that it started.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use common::catalog::Kernel;
use common::environment;
use serde::Serialize;
use serde_json::Value;

use super::traced;
use crate::output;
use crate::problem::Complaint;
use crate::transcript::run::{self, Heard, Play};
use crate::transcript::{Transcript, compare};

/// Bytes of output that a page gets: none of the book's runs prints a tenth of it.
const MOST: usize = 1 << 20;

/// What runs at the moment, if anything does.
#[derive(Debug, Default)]
pub struct Runs {
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    name: String,
    stop: Arc<AtomicBool>,
}

/// Something that can be run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `book/transcripts/NAME.txt`.
    Transcript,
    /// `book/traces/NAME.json`.
    Figure,
}

/// Whether each can be run from a page: `None`, or why it cannot.
#[derive(Debug, Serialize)]
pub struct Offer {
    transcripts: BTreeMap<String, Option<String>>,
    figures: BTreeMap<String, Option<String>>,
}

/// One thing that happens in a run.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    /// The programs are built, if they are not yet.
    Build,
    /// A command begins.
    Command { text: &'a str, background: bool },
    /// A line of output.
    Output { text: &'a str },
    /// It is over.
    End(End),
}

/// The end of a run.
#[derive(Debug, Default, Serialize)]
struct End {
    seconds: f64,
    stopped: bool,
    /// What went wrong, if something did.
    complaint: Option<String>,
    /// Where the output is not that of the book: the command, and the lines.
    differences: Vec<(String, String)>,
    /// What crossed the rings, by command: as `cargo xtask trace --recording` writes it.
    traces: Vec<Value>,
    /// Why there is no trace.
    untraced: Vec<String>,
}

/// What can be run from a page.
pub fn offer(root: &Path) -> Offer {
    let may = |kind| {
        let names = names(root, kind).into_iter();
        names.map(|name| (name.clone(), load(root, kind, &name).err())).collect()
    };
    Offer { transcripts: may(Kind::Transcript), figures: may(Kind::Figure) }
}

/// The names of what stands in the book.
fn names(root: &Path, kind: Kind) -> Vec<String> {
    let (folder, extension) = kind.place();
    let entries = fs::read_dir(root.join(folder)).into_iter().flatten().flatten();
    let named = entries.map(|entry| entry.path()).filter_map(|path| {
        let right = path.extension().is_some_and(|it| it == extension);
        right.then(|| path.file_stem()?.to_str().map(str::to_owned)).flatten()
    });
    named.collect()
}

/// The commands of something that may be run, or why it may not.
fn load(root: &Path, kind: Kind, name: &str) -> Result<Transcript, String> {
    if !names(root, kind).iter().any(|known| known == name) {
        return Err("the book has no such thing to run".to_owned());
    }
    let text = match kind {
        Kind::Figure => format!("$ cargo xtask record --print {name}\n"),
        Kind::Transcript => {
            let (folder, extension) = kind.place();
            let file = root.join(folder).join(format!("{name}.{extension}"));
            fs::read_to_string(file).map_err(|wrong| wrong.to_string())?
        }
    };
    let transcript = Transcript::parse(&text).map_err(|(_, wrong)| wrong.what)?;
    if transcript.commands.iter().any(|command| changes(&command.text)) {
        return Err("it writes or removes files outside this workspace".to_owned());
    }
    let here = environment::kernel_release();
    match transcript.needs.filter(|needs| Kernel::parse(&here).is_some_and(|it| it < *needs)) {
        Some(needs) => Err(format!("it needs Linux {needs}, and this is {here}")),
        None => Ok(transcript),
    }
}

/// Whether a command removes files, writes some that are not the workspace's, or needs root.
fn changes(command: &str) -> bool {
    let mut words = command.split([' ', ';', '(', '|', '&']);
    let writes = |(at, _): (usize, &str)| !command[at..].starts_with(">/dev/");
    words.any(|word| ["rm", "mv", "sudo"].contains(&word))
        || command.match_indices(">/").any(writes)
}

impl Kind {
    fn place(self) -> (&'static str, &'static str) {
        match self {
            Self::Transcript => ("book/transcripts", "txt"),
            Self::Figure => ("book/traces", "json"),
        }
    }
}

impl Runs {
    /// Prepares a run. Refused if it cannot be run from a page, or while another one goes on.
    pub fn begin(self: &Arc<Self>, root: &Path, kind: Kind, name: &str) -> Result<Run, String> {
        let transcript = load(root, kind, name)?;
        let mut current = self.lock();
        if let Some(Current { name, .. }) = current.as_ref() {
            return Err(format!("{name} is running: one at a time"));
        }
        let stop = Arc::new(AtomicBool::new(false));
        *current = Some(Current { name: name.to_owned(), stop: Arc::clone(&stop) });
        output::line(&format!("runs {name}, as its page asks for"));
        let runs = Arc::clone(self);
        Ok(Run { runs, stop, root: root.to_owned(), kind, transcript })
    }

    /// Stops what runs.
    pub fn stop(&self) {
        if let Some(current) = self.lock().as_ref() {
            current.stop.store(true, Ordering::Relaxed);
        }
    }

    /// The name of what runs.
    pub fn current(&self) -> Option<String> {
        self.lock().as_ref().map(|current| current.name.clone())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Current>> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A run that begins when it is played.
#[derive(Debug)]
pub struct Run {
    runs: Arc<Runs>,
    stop: Arc<AtomicBool>,
    root: PathBuf,
    kind: Kind,
    transcript: Transcript,
}

impl Drop for Run {
    fn drop(&mut self) {
        *self.runs.lock() = None;
    }
}

impl Run {
    /// Runs it, and says what happens. Without a listener it ends.
    pub fn play(&self, client: &TcpStream) {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| self.stop_without(client, &over));
            let end = self.play_to_the_end(client);
            tell(client, &self.stop, &Event::End(end));
            over.store(true, Ordering::Relaxed);
        });
    }

    /// Stops the run when the client has gone.
    fn stop_without(&self, mut client: &TcpStream, over: &AtomicBool) {
        let _ = client.set_read_timeout(Some(Duration::from_millis(200)));
        while !over.load(Ordering::Relaxed) {
            match client.read(&mut [0; 64]) {
                Ok(1..) => {}
                Err(wrong)
                    if matches!(wrong.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Ok(0) | Err(_) => return self.stop.store(true, Ordering::Relaxed),
            }
        }
    }

    fn play_to_the_end(&self, client: &TcpStream) -> End {
        let begun = Instant::now();
        let mut end = match self.traced(client) {
            Ok(end) => end,
            Err(wrong) => End { complaint: Some(wrong), ..End::default() },
        };
        end.seconds = begun.elapsed().as_secs_f64();
        end.stopped = self.stop.load(Ordering::Relaxed);
        end
    }

    /// Builds the programs, runs the commands under the tracer, and compares.
    fn traced(&self, client: &TcpStream) -> Result<End, String> {
        let words = |wrong: Complaint| format!("{}\n{}", wrong.what, wrong.remedy);
        let no_folder = |wrong: io::Error| format!("there is no folder for the trace: {wrong}");
        let folder = traced::Folder::new().map_err(no_folder)?;
        let sent = Arc::new(AtomicUsize::new(0));
        let hear = {
            let client = client.try_clone().map_err(|wrong| wrong.to_string())?;
            let (stop, sent, own) = (Arc::clone(&self.stop), Arc::clone(&sent), folder.path());
            let commands: Vec<_> = self
                .transcript
                .commands
                .iter()
                .map(|it| (it.text.clone(), it.background))
                .collect();
            let kind = self.kind;
            move |heard: Heard<'_>| match heard {
                Heard::Starts(_) if kind == Kind::Figure => {}
                Heard::Starts(index) => {
                    let (text, background) = &commands[index];
                    tell(&client, &stop, &Event::Command { text, background: *background });
                }
                // The recording itself, and what the tracer says of its file.
                Heard::Printed(line) if kind == Kind::Figure && line.starts_with('{') => {}
                Heard::Printed(line) if line.contains(&own) => {}
                Heard::Printed(text) => {
                    if sent.fetch_add(text.len(), Ordering::Relaxed) < MOST {
                        tell(&client, &stop, &Event::Output { text });
                    }
                }
            }
        };
        let command = |index: usize, text: &str| folder.traced(index, text);
        let play = Play { command: &command, hear: Arc::new(hear), stop: &self.stop };
        tell(client, &self.stop, &Event::Build);
        let built = run::alone(&self.root, &traced::builds(&self.transcript), &self.stop);
        let (status, printed) = built.map_err(words)?;
        if !status.success() {
            return Err(format!("the programs cannot be built\n{printed}"));
        }
        let outputs = play.run(&self.root, &self.transcript);
        let (mut traces, untraced) = folder.read(self.transcript.commands.len());
        let outputs = match outputs {
            Ok(outputs) => outputs,
            Err((_, wrong)) => {
                return Ok(End {
                    complaint: Some(words(wrong)),
                    traces,
                    untraced,
                    ..End::default()
                });
            }
        };
        let mut differences = Vec::new();
        for (command, lines) in self.transcript.commands.iter().zip(&outputs) {
            match self.kind {
                Kind::Figure => {
                    let recordings =
                        lines.iter().filter_map(|line| serde_json::from_str(line).ok());
                    traces.extend(recordings.map(|it: Value| serde_json::json!({ "rings": [it] })));
                }
                Kind::Transcript => {
                    let own: Vec<String> =
                        lines.iter().filter(|it| !it.contains(&folder.path())).cloned().collect();
                    let difference = compare::difference(&command.expected, &own);
                    differences.extend(difference.map(|lines| (command.text.clone(), lines)));
                }
            }
        }
        if self.stop.load(Ordering::Relaxed) {
            differences.clear();
        }
        Ok(End { differences, traces, untraced, ..End::default() })
    }
}

/// Sends an event. A client that does not take it does not listen any more.
fn tell(mut client: &TcpStream, stop: &AtomicBool, event: &Event<'_>) {
    let mut line = serde_json::to_vec(event).unwrap_or_default();
    line.push(b'\n');
    if client.write_all(&line).is_err() {
        stop.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_the_machine_is_left_to_the_reader() {
        for command in ["rm -f /tmp/x; true", "seq 3 >/tmp/three", "(sudo true)", "a 2>/etc/x"] {
            assert!(changes(command), "{command}");
        }
        for command in
            ["cargo run -p day01", "a 2>/dev/null | grep rm.", "bash -c 'exec <>/dev/tcp/0/1'"]
        {
            assert!(!changes(command), "{command}");
        }
    }
}
