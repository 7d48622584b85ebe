//! The command: options, where the output goes, and signals.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver};
use std::time::Instant;

use clap::Args;
use common::catalog;
use common::environment::Refusal;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::Pid;

use super::event::{Event, What};
use super::json::Lines;
use super::launch::Program;
use super::summary_text;
use super::sys;
use super::text::{Style, Text};
use super::watch::Sink;
use super::{Outcome, Trace};
use crate::programs::{self, Source};

/// Show what crosses the rings of a program: every entry and every completion
///
/// Runs PROGRAM unchanged, with all threads and children, and tells on standard error what
/// it asks of io_uring (→) and what the kernel answers (←). Any language, any library, no
/// root. The exit status is the program's; 128 and the signal, if one killed it.
#[derive(Args, Debug)]
#[command(after_help = NOTES, override_usage = "cargo xtask trace [OPTIONS] PROGRAM [ARGS…]")]
pub struct Options {
    /// Write the events to FILE too, one JSON object a line; `-` for standard output, where
    /// they mix with what the program prints
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,

    /// Only the summary, no events
    #[arg(long)]
    summary: bool,

    /// Only entries and completions of these operations, such as ACCEPT,RECV; the summary
    /// counts all
    #[arg(long, value_name = "OP,…", value_delimiter = ',', value_parser = operation)]
    only: Vec<String>,

    /// Stop telling after N events; the summary counts all
    #[arg(long, value_name = "N")]
    limit: Option<u64>,

    /// Say how many system calls each of N requests took
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    requests: Option<u64>,

    /// Stop only at calls that matter to rings: others run at full speed and are not counted
    #[arg(long, conflicts_with = "requests")]
    fast: bool,

    /// The program, and whatever follows as its arguments; day01 to day04 are built first
    #[arg(trailing_var_arg = true, required = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

const NOTES: &str = "\
Reading it:
  enter      the program calls the kernel: takes its entries, waits for completions
  → 7 RECV   entry 7 goes in; the words say what for, [..] is its user_data
  ← 7 RECV   a completion for entry 7 comes out, with its result or error
  after      the time since the enter began that took entry 7, to when this was seen
  MORE       entry 7 stays armed: another completion will come
  returns    the end of an enter that slept, and how long it did

Cost:
  Every system call stops the program twice: 20 to 40 microseconds where it took 0.3.
  Every entry and completion adds 2 to 5, less with --summary. Between its calls the
  program runs at full speed. With --fast, calls that have nothing to do with rings
  are not stopped at; in return they are not counted, and a ring that is refused by
  a seccomp filter (a container's, say) is not heard of.
  A ring that a kernel thread polls has no calls to stop at: it is sampled. Totals are
  exact all the same; what was overwritten between two looks is counted as unseen.";

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
    let mut words = options.command.into_iter();
    let named = words.next().unwrap_or_default();
    let (program, ours) = resolve(named)?;
    let program =
        Program { program, args: words.collect(), fast: options.fast, ..Default::default() };

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

    let (send_pid, pid) = mpsc::channel();
    if let Some(signals) = block_signals() {
        pass_on(signals, pid);
    }
    let began = Instant::now();
    let trace = Trace::show(program, ours, sinks)?;
    let _ = send_pid.send(trace.pid());
    let Outcome { status, summary, failure } = trace.finish();
    if let Some(refusal) = failure {
        return Err((refusal, status));
    }
    let _ = write!(io::stderr(), "\n{}", summary_text::page(&summary, options.requests));
    if let (Some(lines), Some(path)) = (json, &options.json) {
        let us = began.elapsed().as_micros() as u64;
        lines.finish(us, &summary).map_err(|error| (cannot_write(path, &error), 1))?;
    }
    Ok(u8::try_from(status).unwrap_or(1))
}

/// An operation's short name, from that or the header's, in any case.
fn operation(text: &str) -> Result<String, String> {
    let upper = text.trim().to_uppercase();
    match catalog::OPERATIONS.by_name(&upper) {
        Some(entry) => Ok(entry.short.to_string()),
        None => Err("no such operation; `cargo run -p day01 -- --ops all` lists them".to_string()),
    }
}

/// The program to run, and whether its `user_data` is `common::token`'s.
fn resolve(named: OsString) -> Result<(OsString, bool), (Refusal, i32)> {
    const DAYS: [&str; 4] = ["day01", "day02", "day03", "day04"];
    let Some(day) = DAYS.into_iter().find(|day| named == *day) else {
        let ours = is_ours(Path::new(&named));
        return Ok((named, ours));
    };
    let built = programs::find(&Source::Build { release: false, quiet: true }, &[day]);
    if let Some(path) = built.ok().and_then(|mut programs| programs.remove(day)) {
        return Ok((path.into_os_string(), true));
    }
    // Nothing to build with, or not allowed to: perhaps it lies beside us.
    let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join(day)));
    match beside.filter(|path| path.is_file()) {
        Some(path) => Ok((path.into_os_string(), true)),
        None => Err((
            Refusal {
                what: format!("{day} could not be built"),
                why: "Cargo says so above".to_string(),
                remedy: format!("`cargo build -p {day}` by itself"),
            },
            1,
        )),
    }
}

/// Whether a program was built in this workspace, beside this very tool.
fn is_ours(program: &Path) -> bool {
    let folder = |path: &Path| Some(path.canonicalize().ok()?.parent()?.to_path_buf());
    let here = std::env::current_exe().ok().and_then(|path| folder(&path));
    here.is_some() && here == folder(program)
}

/// Whether a file is there that can be run.
fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|about| about.is_file() && about.permissions().mode() & 0o111 != 0)
}

fn is_no_place_for_events(path: &Path) -> Refusal {
    let path = path.display();
    Refusal {
        what: format!("the events are not written to {path}"),
        why: "it is a program, and would be lost".to_string(),
        remedy: format!("`--json trace.jsonl {path}`: first the file, then the program"),
    }
}

fn cannot_write(path: &Path, error: &io::Error) -> Refusal {
    Refusal {
        what: format!("cannot write the events to {}", path.display()),
        why: error.to_string(),
        remedy: "--json with a file in a folder of yours".to_string(),
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

/// Passes signals on, once there is a program. What the terminal sends (Ctrl-C) it sends to
/// the program as well.
fn pass_on(signals: SignalFd, pid: Receiver<Pid>) {
    /// `si_code` of a signal that no process sent.
    const SI_KERNEL: i32 = 0x80;
    std::thread::spawn(move || {
        let Ok(program) = pid.recv() else { return };
        while let Ok(Some(info)) = signals.read_signal() {
            if info.ssi_code == SI_KERNEL {
                continue;
            }
            if let Ok(signal) = Signal::try_from(info.ssi_signo as i32) {
                let _ = kill(program, signal);
            }
        }
    });
}

/// Lets through what was asked for.
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
