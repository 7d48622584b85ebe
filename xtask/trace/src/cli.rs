//! The command: where the output goes, and signals.

use std::fs;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::environment::Refusal;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::event::{Event, What};
use super::html;
use super::json::Lines;
use super::launch::Program;
pub use super::options::Options;
use super::perfetto;
use super::player::rings;
use super::summary::Summary;
use super::summary_text;
use super::sys;
use super::text::{Style, Text};
use super::watch::Sink;
use super::{Ended, Trace};

/// Runs the command; the exit code is the program's.
pub fn main(options: Options) -> ExitCode {
    match trace(options) {
        Ok(status) => ExitCode::from(status),
        Err((refusal, status)) => {
            let _ = writeln!(io::stderr(), "{refusal}");
            ExitCode::from(u8::try_from(status).unwrap_or(1))
        }
    }
}

fn trace(options: Options) -> Result<u8, (Refusal, i32)> {
    let mut sinks: Vec<Box<dyn Sink>> = Vec::new();
    let filter = |sink, says_when_full| {
        let only = options.only.clone();
        Box::new(Filter { sink, only, left: options.limit, says_when_full })
    };
    if !options.summary {
        sinks.push(filter(Box::new(Text::new(io::stderr(), style())) as Box<dyn Sink>, true));
    }
    let json = match &options.json {
        // `--json ./server 8080` lacks the file, and would write over the program.
        Some(path) if is_program(path) => return Err((is_no_place_for_events(path), 2)),
        Some(path) => Some(Lines::create(path).map_err(|error| (cannot_write(path, &error), 1))?),
        None => None,
    };
    if let Some(lines) = &json {
        sinks.push(filter(Box::new(lines.clone()), false));
    }
    let pages = Pages::open(&options)?;
    if let Some(pages) = &pages {
        sinks.push(filter(Box::new(pages.kept.clone()), false));
    }

    let began = Instant::now();
    let end = options.time.map(|time| began + time);
    let signals = block_signals();
    let trace = match options.attach {
        Some(process) => {
            let trace = Trace::attach(process, options.tokens, sinks)?;
            let to_stdout = options.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
            wait_to_let_go(&trace, signals, end, to_stdout);
            trace.let_go();
            trace
        }
        None => {
            let (send_pid, pid) = mpsc::channel();
            if let Some(signals) = signals {
                pass_on(signals, pid, end);
            }
            let mut words = options.command.into_iter();
            let program = words.next().unwrap_or_default();
            let (args, fast) = (words.collect(), options.fast);
            let tracepoints = options.tracepoints;
            let program = Program { program, args, fast, tracepoints, ..Default::default() };
            let trace = Trace::show(program, options.tokens, sinks)?;
            let _ = send_pid.send(trace.pid());
            trace
        }
    };
    let Ended { status, summary, failure } = trace.finish();
    if let Some(refusal) = failure {
        return Err((refusal, status));
    }
    let _ = write!(io::stderr(), "\n{}", summary_text::page(&summary, options.requests));
    if let (Some(lines), Some(path)) = (json, &options.json) {
        let us = began.elapsed().as_micros() as u64;
        lines.finish(us, &summary).map_err(|error| (cannot_write(path, &error), 1))?;
    }
    if let Some(pages) = pages {
        pages.write(&summary)?;
    }
    Ok(u8::try_from(status).unwrap_or(1))
}

/// The files that are made of all events at the end.
struct Pages {
    kept: Kept,
    command: String,
    files: Vec<(PathBuf, fs::File, Page)>,
}

/// What a file holds.
#[derive(Clone, Copy)]
enum Page {
    Html,
    Perfetto,
    Recording,
}

impl Pages {
    /// Opens the files before anything runs: if that fails, no run is lost.
    fn open(options: &Options) -> Result<Option<Pages>, (Refusal, i32)> {
        let asked = [
            (&options.html, Page::Html),
            (&options.perfetto, Page::Perfetto),
            (&options.recording, Page::Recording),
        ];
        let mut files = Vec::new();
        for (path, page) in
            asked.into_iter().filter_map(|(path, page)| Some((path.as_ref()?, page)))
        {
            if is_program(path) {
                return Err((is_no_place_for_events(path), 2));
            }
            let file = fs::File::create(path).map_err(|error| (cannot_write(path, &error), 1))?;
            files.push((path.clone(), file, page));
        }
        let words = options.command.iter().map(|word| word.to_string_lossy());
        let command = match options.attach {
            Some(process) => format!("process {process}"),
            None => words.collect::<Vec<_>>().join(" "),
        };
        Ok((!files.is_empty()).then(|| Pages { kept: Kept::default(), command, files }))
    }

    fn write(self, summary: &Summary) -> Result<(), (Refusal, i32)> {
        let Kept { events, left_out } = self.kept;
        let events = events.lock().unwrap_or_else(PoisonError::into_inner);
        let kernel = common::environment::kernel_release();
        for (path, mut file, page) in self.files {
            let text = match page {
                Page::Html => html::page(&self.command, &kernel, &events, summary),
                Page::Perfetto => perfetto::trace(&self.command, &events).to_string(),
                Page::Recording => {
                    rings::page(&self.command, &kernel, &events, summary).to_string()
                }
            };
            let written = file.write_all(text.as_bytes());
            written.map_err(|error| (cannot_write(&path, &error), 1))?;
            let _ = writeln!(io::stderr(), "wrote {}", path.display());
        }
        match left_out.load(Ordering::Relaxed) {
            0 => {}
            count => {
                _ = writeln!(io::stderr(), "without the last {count} events: there were too many")
            }
        }
        Ok(())
    }
}

/// The events of a run, up to as many as a viewer can take.
#[derive(Clone, Default)]
struct Kept {
    events: Arc<Mutex<Vec<Event>>>,
    left_out: Arc<AtomicUsize>,
}

impl Sink for Kept {
    fn take(&mut self, events: &[Event]) {
        /// Some hundred megabytes of memory.
        const MOST: usize = 300_000;
        let mut kept = self.events.lock().unwrap_or_else(PoisonError::into_inner);
        let room = MOST.saturating_sub(kept.len()).min(events.len());
        kept.extend_from_slice(&events[..room]);
        self.left_out.fetch_add(events.len() - room, Ordering::Relaxed);
    }
}

/// Whether the path names a file that can be run.
fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

fn is_no_place_for_events(path: &Path) -> Refusal {
    let path = path.display();
    Refusal {
        what: format!("nothing is written to {path}"),
        why: "it is a program, and would be lost".to_string(),
        remedy: format!("give the file first, then the program: `FILE {path}`"),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Refusal {
    Refusal {
        what: format!("cannot write to {}", path.display()),
        why: error.to_string(),
        remedy: "a file in a folder that is yours".to_string(),
    }
}

fn style() -> Style {
    let terminal = io::stderr().is_terminal();
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    Style {
        colour: terminal && !plain,
        width: sys::columns(io::stderr().as_fd()).unwrap_or(80).max(60),
    }
}

/// Keeps the signals that are meant for the program from ending the tracer. Blocked before
/// any thread is made, they are blocked in all of them; the program starts without.
fn block_signals() -> Option<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT] {
        set.add(signal);
    }
    set.thread_block().ok()?;
    SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC).ok()
}

/// Waits until it is time to let a joined program go: at a signal, when the set time is over, when
/// the output's reader has gone away, or when the program has ended.
fn wait_to_let_go(trace: &Trace, signals: Option<SignalFd>, end: Option<Instant>, to_stdout: bool) {
    /// How often to look whether the program has ended.
    const OFTEN: Duration = Duration::from_millis(50);
    let (stderr, stdout) = (io::stderr(), io::stdout());
    while !trace.ended() && end.is_none_or(|end| Instant::now() < end) {
        let mut events = vec![PollFd::new(stderr.as_fd(), PollFlags::empty())];
        if to_stdout {
            events.push(PollFd::new(stdout.as_fd(), PollFlags::empty()));
        }
        if let Some(signals) = &signals {
            events.push(PollFd::new(signals.as_fd(), PollFlags::POLLIN));
        }
        let left = end.map_or(OFTEN, |end| end.saturating_duration_since(Instant::now()));
        let left = PollTimeout::try_from(left.min(OFTEN)).unwrap_or(PollTimeout::ZERO);
        if poll(&mut events, left).is_ok_and(|ready| ready > 0) {
            return;
        }
    }
}

/// Passes signals on, once there is a program. A terminal sends its signals (Ctrl-C) to the program
/// as well. When the set time is over, the program gets SIGINT.
fn pass_on(signals: SignalFd, pid: Receiver<Pid>, end: Option<Instant>) {
    /// `si_code` of a signal that no process sent.
    const SI_KERNEL: i32 = 0x80;
    std::thread::spawn(move || {
        let Ok(program) = pid.recv() else { return };
        let mut end = end;
        loop {
            let left = end.map(|end| end.saturating_duration_since(Instant::now()));
            let left = left.map_or(PollTimeout::NONE, |left| {
                PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
            });
            match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], left) {
                Ok(0) if end.is_some_and(|end| Instant::now() >= end) => {
                    let _ = kill(program, Signal::SIGINT);
                    end = None;
                }
                Ok(0) | Err(Errno::EINTR) => {}
                Err(_) => return,
                Ok(_) => {
                    let Ok(Some(info)) = signals.read_signal() else { return };
                    if info.ssi_code == SI_KERNEL {
                        continue;
                    }
                    if let Ok(signal) = Signal::try_from(info.ssi_signo as i32) {
                        let _ = kill(program, signal);
                    }
                }
            }
        }
    });
}

/// Passes on the events that the options ask for.
struct Filter {
    sink: Box<dyn Sink>,
    only: Vec<String>,
    left: Option<u64>,
    /// Tell once, on the terminal, that events are left out from here on.
    says_when_full: bool,
}

impl Filter {
    fn wanted(&self, event: &Event) -> bool {
        let of = |op: &str| self.only.iter().any(|only| only == op);
        match &event.what {
            _ if self.only.is_empty() => true,
            What::Submit(submit) => of(&submit.op),
            What::Complete(complete) => complete.op.as_deref().is_some_and(of),
            What::Enter(_) | What::Return(_) | What::Register(_) => false,
            _ => true,
        }
    }
}

impl Sink for Filter {
    fn take(&mut self, events: &[Event]) {
        let mut wanted: Vec<Event> =
            events.iter().filter(|event| self.wanted(event)).cloned().collect();
        let came = wanted.len();
        if let Some(left) = &mut self.left {
            wanted.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= wanted.len() as u64;
        }
        if !wanted.is_empty() {
            self.sink.take(&wanted);
        }
        if came > wanted.len() && std::mem::take(&mut self.says_when_full) {
            let _ = writeln!(io::stderr(), "… that was --limit; the summary counts on");
        }
    }
}
