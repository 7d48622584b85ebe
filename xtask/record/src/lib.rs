//! `cargo xtask record`: the runs that the book plays, made by the tracer.
//!
//! - [`scenarios`]: which programs, with which clients;
//! - [`tape`]: the tracer's events with what the clients do between them;
//! - [`ringtrace::player`]: the tape as steps, with the words of each;
//! - [`mod@file`]: where they are kept; [`compare`]: whether two match.

pub mod cli;
pub mod compare;
pub mod file;
pub mod scenarios;
pub mod tape;

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use common::environment;
use nix::fcntl::OFlag;
use nix::unistd::pipe2;

use ringtrace::launch::Program;
use ringtrace::{Ended, Trace};

use ringtrace::player::recording::{self, Recording};
use ringtrace::player::steps::Item;
use ringtrace::player::story::{self, Story};
use scenarios::{Scenario, Stage};
use tape::Tape;

/// The result of recording a scenario.
#[derive(Debug)]
pub enum Recorded {
    /// It ran.
    Told(Recording),
    /// The program reports that it cannot run here, with its words.
    Refused(String),
}

/// Runs a scenario and records it.
///
/// # Errors
/// If the program or a client does not do what the scenario expects.
pub fn record(scenario: &Scenario, program: &Path, patience: Duration) -> Result<Recorded> {
    let ran = run(scenario, program, patience)?;
    if let Some(refusal) = ran.refusal {
        return Ok(Recorded::Refused(refusal));
    }
    let Story { shape, steps } =
        story::tell(&ran.items, scenario.part, scenario.program, scenario.ending)?;
    let counts = recording::counts(&steps);
    Ok(Recorded::Told(Recording {
        name: scenario.name.to_string(),
        title: scenario.title.to_string(),
        program: scenario.program.to_string(),
        command: scenario.command(),
        kernel: major_and_minor(&environment::kernel_release()),
        rings: vec![shape],
        steps,
        counts,
    }))
}

/// `6.18` of `6.18.5-generic`.
fn major_and_minor(release: &str) -> String {
    release.split(['.', '-']).take(2).collect::<Vec<_>>().join(".")
}

/// A run of a scenario.
struct Ran {
    items: Vec<Item>,
    /// The program's words, if it reports that it cannot run here.
    refusal: Option<String>,
}

fn run(scenario: &Scenario, program: &Path, patience: Duration) -> Result<Ran> {
    let tape = Tape::new(scenario.hold);
    let (stderr, said) = listen()?;
    let mut args: Vec<_> = scenario.arguments.iter().map(Into::into).collect();
    if scenario.clients.is_some() {
        args.extend(["--listen".into(), "127.0.0.1:0".into()]);
    }
    let null = || File::options().read(true).write(true).open("/dev/null").map(OwnedFd::from);
    let program = Program {
        program: program.as_os_str().to_os_string(),
        args,
        stdin: Some(null()?),
        stdout: Some(null()?),
        stderr: Some(stderr),
        ..Default::default()
    };
    let trace = Trace::show(program, true, vec![Box::new(tape::Writer(Arc::clone(&tape)))])
        .map_err(|(refusal, _)| anyhow::Error::from(refusal))?;
    let pid = trace.pid().as_raw() as u32;
    let stage = Stage { tape: Arc::clone(&tape), pid, patience };
    let drove = match scenario.clients {
        Some(clients) => clients(&stage),
        None => Ok(Vec::new()),
    };
    if drove.is_ok() && scenario.clients.is_none() {
        testkit::holds_within(patience, || trace.ended());
    }
    let items = tape.items();
    let drove = drove.map(drop).with_context(|| format!("the clients of {}", scenario.name));
    tape.release(); // otherwise it never stops
    let ended_by_itself = trace.ended();
    let (Ended { status, failure, .. }, _) = trace.stop(patience);
    let said = said.join().unwrap_or_default();
    if let Some(refusal) = failure {
        return Err(refusal.into());
    }
    if status == 1 && !said.is_empty() {
        return Ok(Ran { items, refusal: Some(said.trim_end().to_string()) });
    }
    drove?;
    ensure!(
        ended_by_itself || scenario.clients.is_some(),
        "{} did not end within {} s",
        scenario.program,
        patience.as_secs()
    );
    if ended_by_itself && status != 0 {
        bail!("{} ended with status {status}: {said}", scenario.program);
    }
    Ok(Ran { items, refusal: None })
}

/// A pipe for the standard error, and everything that was written to it.
fn listen() -> Result<(OwnedFd, thread::JoinHandle<String>)> {
    let (read, write) = pipe2(OFlag::O_CLOEXEC)?;
    let said = thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = File::from(read).read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    });
    Ok((write, said))
}
