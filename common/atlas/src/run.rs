//! The command line of both examples.

use std::io::{self, Write};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{CommandFactory, Parser};
use common::environment;
use io_uring::{IoUring, Probe};

use crate::{Entry, Family, Page, Report};

/// See what io_uring can be asked for, live on this kernel
///
/// Each entry asks the kernel for one thing, looks at the effect by other means, and makes the
/// usual mistakes. Without a NAME: the list of all entries.
#[derive(Parser)]
struct Options {
    /// The entries to show, such as fsync
    #[arg(value_name = "NAME")]
    names: Vec<String>,

    /// Show every entry
    #[arg(long, conflicts_with = "names")]
    all: bool,

    /// Print one JSON object for each entry, for programs
    #[arg(long)]
    json: bool,
}

/// Runs the entries that the command line names. Exit code 0: each was shown, or left out with a
/// reason; 1: the kernel gave an unexpected answer; 2: an unknown name.
pub fn main(package: &str, example: &str, families: &[Family]) -> ExitCode {
    let options = Options::parse();
    let program = format!("cargo run -p {package} --example {example}");
    let of = |family| move |entry| (family, entry);
    let all = || families.iter().flat_map(|family| family.entries.iter().map(of(family)));
    if options.names.is_empty() && !options.all {
        return environment::report("atlas", list(&program, families, options.json));
    }
    let mut chosen: Vec<(&Family, &Entry)> = Vec::new();
    for name in &options.names {
        match all().find(|(_, entry)| entry.name() == name.to_lowercase()) {
            Some(entry) => chosen.push(entry),
            None => unknown(&program, name),
        }
    }
    if options.all {
        chosen.extend(all());
    }
    environment::report("atlas", show(&chosen, options.json))
}

fn unknown(program: &str, name: &str) -> ! {
    let message = format!(
        "there is no entry {name:?}; `{program}` lists them, and `cargo xtask atlas` those \
         of both days"
    );
    Options::command().error(clap::error::ErrorKind::InvalidValue, message).exit()
}

fn list(program: &str, families: &[Family], json: bool) -> Result<()> {
    let mut text = String::new();
    for family in families {
        if !json && !family.entries.is_empty() {
            text += &format!("{}\n", family.name.replace('_', " "));
        }
        for entry in family.entries {
            text += &match json {
                true => serde_json::to_string(&Report::new(family, entry))? + "\n",
                false => format!("  {:<20} {}\n", entry.name(), entry.fact().meaning),
            };
        }
    }
    if !json {
        text += &format!("\ntry: {program} -- NAME\n");
    }
    print(&text)
}

fn show(entries: &[(&Family, &Entry)], json: bool) -> Result<()> {
    let explain = |error| environment::explain_memory("io_uring_setup", &error, 8 << 10);
    let lacks = |made: &io::Result<IoUring>| {
        made.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ENOMEM))
    };
    let ring = while_closed_rings_go(|| IoUring::new(2), lacks).map_err(explain)?;
    let mut failed = Vec::new();
    for (family, entry) in entries {
        let lacked_memory = |report: &Report| report.lacked_memory;
        let report = while_closed_rings_go(|| run(family, entry, &ring), lacked_memory);
        print(&match json {
            true => serde_json::to_string(&report)? + "\n",
            false => report.text(entry),
        })?;
        if report.failed.is_some() {
            failed.push(report.name);
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    bail!("not everything went as the entry says: {}", failed.join(", "))
}

/// How long the memory of closed rings may still count as locked.
const RELEASE: Duration = Duration::from_secs(2);

/// Asks again if memory is lacking: the kernel counts a closed ring's memory until it has taken the
/// ring down, which is some time after the close.
fn while_closed_rings_go<T>(mut ask: impl FnMut() -> T, lacks_memory: impl Fn(&T) -> bool) -> T {
    let until = Instant::now() + RELEASE;
    loop {
        let answer = ask();
        if !lacks_memory(&answer) || Instant::now() > until {
            return answer;
        }
        thread::sleep(Duration::from_millis(10));
    }
}

/// Shows one entry. `ring` serves to probe for its operation.
fn run(family: &Family, entry: &Entry, ring: &IoUring) -> Report {
    let mut page = Page::new(family, entry);
    let shown = match has_operation(entry, ring) {
        true => (entry.show)(&mut page),
        false => page.lacks(entry.fact().name),
    };
    page.finish(shown)
}

/// Whether this kernel has the operation that the entry shows, if it shows one.
fn has_operation(entry: &Entry, ring: &IoUring) -> bool {
    let fact = entry.fact();
    if !fact.name.starts_with("IORING_OP_") {
        return true;
    }
    let mut probe = Probe::new();
    let code = u8::try_from(fact.code).expect("operations are bytes");
    // Kernels before 5.6 have no probe: then the entry finds out itself.
    ring.submitter().register_probe(&mut probe).is_err() || probe.is_supported(code)
}

/// Not `println!`, which panics when the reader has gone (`| head`).
fn print(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    written.context("writing to the standard output")
}
