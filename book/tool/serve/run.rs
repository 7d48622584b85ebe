//! A run, as a page receives it: a line of JSON for each [`Event`].
//!
//! Its deadlines are those of [`run`]. The run stops when the page's connection ends, and when this
//! program ends, all programs that it started end.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::{Value, json};

use super::runs::{EMULATED, Kind, Place};
use super::traced;
use crate::problem::Complaint;
use crate::transcript::run::{self, Heard, Play};
use crate::transcript::{Transcript, compare};

/// The most bytes of output that a page gets: no run of the book prints a tenth of it.
const MOST: usize = 1 << 20;

/// An event of a run.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
enum Event<'a> {
    /// The programs are built, if they are not yet.
    Build,
    /// A command begins.
    Command { text: &'a str, background: bool },
    /// A line of output.
    Output { text: &'a str },
    /// The run is over.
    End(End),
}

/// The end of a run.
#[derive(Debug, Default, Serialize)]
struct End {
    seconds: f64,
    stopped: bool,
    /// What went wrong, if anything.
    complaint: Option<String>,
    /// The differences from the book's output: the command, and the lines.
    differences: Vec<(String, String)>,
    /// The rings, by command, as `cargo xtask trace --recording` writes them.
    traces: Vec<Value>,
    /// Why there is no trace.
    untraced: Vec<String>,
}

/// A run that begins at [`Run::play`].
#[derive(Debug)]
pub struct Run {
    /// While this exists, no other run can begin.
    pub place: Option<Place>,
    /// Any thread may set it to end the run.
    pub stop: Arc<AtomicBool>,
    /// The workspace.
    pub root: PathBuf,
    /// What to run.
    pub kind: Kind,
    /// Its commands.
    pub transcript: Transcript,
}

impl Run {
    /// Runs it, and sends its events. It ends when the page is gone.
    pub fn play(mut self, client: &TcpStream) {
        let Ok(own) = client.try_clone() else { return };
        let page = Page { client: Mutex::new(own), sent: AtomicUsize::new(0) };
        let (page, stop, over) = (Arc::new(page), Arc::clone(&self.stop), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| stop_without(client, &stop, &over));
            let begun = Instant::now();
            let played = self.traced(&page);
            let mut end =
                played.unwrap_or_else(|wrong| End { complaint: Some(wrong), ..End::default() });
            end.seconds = begun.elapsed().as_secs_f64();
            end.stopped = stop.load(Ordering::Relaxed);
            // A page that hears of the end may begin another one.
            self.place = None;
            page.tell(&Event::End(end), &stop);
            over.store(true, Ordering::Relaxed);
        });
    }

    /// Builds the programs, runs the commands under the tracer, and compares.
    fn traced(&self, page: &Arc<Page>) -> Result<End, String> {
        let words = |wrong: Complaint| format!("{}\n{}", wrong.what, wrong.remedy);
        let no_folder = |wrong: io::Error| format!("there is no folder for the trace: {wrong}");
        let folder = Arc::new(traced::Folder::new().map_err(no_folder)?);
        page.tell(&Event::Build, &self.stop);
        let built = run::alone(&self.root, &traced::builds(&self.transcript), &self.stop);
        let (status, printed) = built.map_err(words)?;
        if !status.success() {
            return Err(format!("the programs cannot be built\n{printed}"));
        }
        let command = |index: usize, text: &str| folder.traced(index, text);
        let hear = self.hearing(page, &folder);
        let play = Play { command: &command, hear, patience: self.patience(), stop: &self.stop };
        let played = play.run(&self.root, &self.transcript);
        let (traces, untraced) = folder.read(self.transcript.commands.len());
        let mut end = End { traces, untraced, ..End::default() };
        match played {
            Ok(outputs) => self.compare(&outputs, &folder, &mut end),
            Err((_, wrong)) => end.complaint = Some(words(wrong)),
        }
        Ok(end)
    }

    /// An emulated machine takes its time, and the first time its programs are built for it.
    fn patience(&self) -> Duration {
        let is_emulated = self.transcript.commands.iter().any(|it| it.text.starts_with(EMULATED));
        if is_emulated { Duration::from_secs(1800) } else { run::PATIENCE }
    }

    /// Sends the output, without the tracer's own messages, which name its folder.
    fn hearing(
        &self,
        page: &Arc<Page>,
        folder: &Arc<traced::Folder>,
    ) -> Arc<dyn Fn(Heard<'_>) + Send + Sync> {
        let folder = Arc::clone(folder);
        let (page, stop, figure) =
            (Arc::clone(page), Arc::clone(&self.stop), self.kind == Kind::Figure);
        let commands: Vec<(String, bool)> =
            self.transcript.commands.iter().map(|it| (it.text.clone(), it.background)).collect();
        Arc::new(move |heard| match heard {
            Heard::Starts(_) if figure => {}
            Heard::Starts(index) => {
                let (text, background) = &commands[index];
                page.tell(&Event::Command { text, background: *background }, &stop);
            }
            // The recording.
            Heard::Printed(line) if figure && line.starts_with('{') => {}
            Heard::Printed(line) => {
                let line = folder.shown(line);
                if !line.contains(&folder.path()) {
                    page.print(&line, &stop);
                }
            }
        })
    }

    /// A transcript is compared here; a figure's recording is compared by the page, the answers of
    /// the atlas by the reader.
    fn compare(&self, outputs: &[Vec<String>], folder: &traced::Folder, end: &mut End) {
        if self.kind == Kind::Figure {
            let lines = outputs.iter().flatten();
            let recordings = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            end.traces.extend(recordings.map(|recording| json!({ "rings": [recording] })));
            if end.traces.is_empty() {
                end.complaint = Some("it could not be recorded: see above".to_owned());
            }
            return;
        }
        if self.kind == Kind::Atlas || self.stop.load(Ordering::Relaxed) {
            return;
        }
        for (command, lines) in self.transcript.commands.iter().zip(outputs) {
            let lines = lines.iter().map(|line| folder.shown(line));
            let lines: Vec<String> = lines.filter(|line| !line.contains(&folder.path())).collect();
            let difference = compare::difference(&command.expected, &lines);
            end.differences.extend(difference.map(|lines| (command.text.clone(), lines)));
        }
    }
}

/// Stops the run when the client has gone.
fn stop_without(mut client: &TcpStream, stop: &AtomicBool, over: &AtomicBool) {
    let _ = client.set_read_timeout(Some(Duration::from_millis(200)));
    while !over.load(Ordering::Relaxed) {
        match client.read(&mut [0; 64]) {
            Ok(1..) => {}
            Err(wrong) if matches!(wrong.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Ok(0) | Err(_) => return stop.store(true, Ordering::Relaxed),
        }
    }
}

/// The page that listens.
#[derive(Debug)]
struct Page {
    /// Two commands may print at the same time: each line is sent whole.
    client: Mutex<TcpStream>,
    sent: AtomicUsize,
}

impl Page {
    fn print(&self, text: &str, stop: &AtomicBool) {
        if self.sent.fetch_add(text.len(), Ordering::Relaxed) < MOST {
            self.tell(&Event::Output { text }, stop);
        }
    }

    /// Sends an event. If that fails, the page has gone.
    fn tell(&self, event: &Event<'_>, stop: &AtomicBool) {
        let mut line = serde_json::to_vec(event).unwrap_or_default();
        line.push(b'\n');
        let mut client = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if client.write_all(&line).is_err() {
            stop.store(true, Ordering::Relaxed);
        }
    }
}
