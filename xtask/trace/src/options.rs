//! The command's options.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use common::catalog;

/// Show what crosses the rings of a program: every entry and every completion
///
/// Runs PROGRAM unchanged, with all threads and children. Standard error shows what it asks of
/// io_uring (→) and what the kernel answers (←). Works with any language and library, without root.
/// The exit status is the program's; if a signal killed it, 128 plus the signal's number.
#[derive(Parser, Debug)]
#[command(name = "ringtrace", version, after_help = NOTES)]
pub struct Options {
    /// Write the events to FILE too, one JSON object a line; `-` is standard output, which the
    /// program prints to as well
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Write one HTML page to FILE that plays the rings and shows the events and what is wrong
    #[arg(long, value_name = "FILE")]
    pub html: Option<PathBuf>,

    /// Write FILE for Perfetto or Chrome's trace viewer: a track for each ring, a slice for each
    /// operation
    #[arg(long, value_name = "FILE")]
    pub perfetto: Option<PathBuf>,

    /// Write the steps of each ring and what is wrong to FILE, as JSON for the book's player
    #[arg(long, value_name = "FILE")]
    pub recording: Option<PathBuf>,

    /// Show only the summary, no events
    #[arg(long)]
    pub summary: bool,

    /// Show only entries and completions of these operations, such as ACCEPT,RECV; the summary
    /// counts all
    #[arg(long, value_name = "OP,…", value_delimiter = ',', value_parser = operation)]
    pub only: Vec<String>,

    /// Show only the first N events; the summary counts all
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,

    /// Say how many system calls each of N requests took
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub requests: Option<u64>,

    /// Stop only at calls that matter to rings: others run at full speed and are not counted
    #[arg(long, conflicts_with = "requests")]
    pub fast: bool,

    /// Take from the kernel's tracepoints where each operation ran (as root), instead of concluding
    /// it
    #[arg(long)]
    pub tracepoints: bool,

    /// Show `user_data` by the fields that this workspace's `common::token` packs into it
    #[arg(long)]
    pub tokens: bool,

    /// Trace the running process PID with its threads and rings; after Ctrl-C it goes on untraced
    #[arg(long, value_name = "PID", conflicts_with_all = ["command", "fast", "tracepoints"],
          value_parser = clap::value_parser!(i32).range(1..))]
    pub attach: Option<i32>,

    /// After this time, let a joined program go, or send SIGINT to a started one, as Ctrl-C does
    #[arg(long = "for", value_name = "SECONDS", value_parser = seconds)]
    pub time: Option<Duration>,

    /// The program and its arguments
    #[arg(trailing_var_arg = true, required_unless_present = "attach", value_name = "PROGRAM")]
    pub command: Vec<OsString>,
}

const NOTES: &str = "\
Reading it:
  enter      the program calls the kernel: takes its entries, waits for completions
  → 7 RECV   entry 7 goes in; the words say what for, [..] is its user_data
  ← 7 RECV   a completion for entry 7 comes out, with its result or error
  after      the time since the program entered with entry 7, to when this was seen
  polled     where entry 7 ran, if not at once: it was armed until its file was ready;
             worker: in a thread of the kernel's pool (io-wq); poller: in the thread
             that polls the ring; device: a disk did it; with a ? that is a conclusion
  MORE       entry 7 stays armed: another completion will come
  returns    the end of an enter that slept, and how long it did

What does not show:
  Entries that a library keeps to itself until it submits, as liburing does after
  io_uring_get_sqe. If the program never submits, the kernel has seen none of them.

Joining a program that runs (--attach):
  You need the right to trace the program, as for a debugger; a refusal names the rule and
  what to type. ringtrace finds the program's rings. It cannot see what is registered with
  them, most of their flags, and the entries from before; the output marks what is unknown.
  A thread that sleeps in an enter is stopped once it wakes up by itself. The program goes
  on even if ringtrace is killed.

Cost:
  Every system call stops the program twice, and takes 20 to 40 microseconds instead of 0.3.
  Every entry and completion adds 2 to 5, less with --summary. Between its calls the
  program runs at full speed. With --fast, calls that have nothing to do with rings do not
  stop the program; then they are not counted, and a ring that a seccomp filter refuses
  (a container's, for example) is not reported.
  A ring that a kernel thread polls has no calls to stop at: it is sampled. Totals are
  exact all the same; what was overwritten between two looks is counted as unseen.";

/// A length of time.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds
        .filter(|time| !time.is_zero())
        .ok_or_else(|| "a number of seconds, such as 10 or 0.5".to_string())
}

/// An operation's short name, from that or the header's, in any case.
fn operation(text: &str) -> Result<String, String> {
    let upper = text.trim().to_uppercase();
    match catalog::OPERATIONS.by_name(&upper) {
        Some(entry) => Ok(entry.short.to_string()),
        None => {
            let names: Vec<&str> =
                catalog::OPERATIONS.entries.iter().map(|entry| entry.short).collect();
            Err(format!("no such operation; there are {}", names.join(" ")))
        }
    }
}
