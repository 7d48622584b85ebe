//! A run without a tracer. A program must do its task also when no tracer watches.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use super::failure::Failure;
use super::ids;
use super::launch::{Ended, Launch, unset};
use super::others;
use ringtrace::filter;
use ringtrace::launch;

/// The time limit. A program that ended by itself under a tracer needs less without one.
const LONGEST: Duration = Duration::from_secs(60);

/// Runs a program again, without a tracer. If no plain call wrote to its standard output under the
/// tracer, none may do so now.
///
/// # Errors
/// `E-NOT-THROUGH-RING`, `E-OUTPUT` or `E-EXIT` if it ends or prints differently than under a
/// tracer. A program that also differs between two runs under a tracer passes.
pub(super) fn same(launch: &Launch, watched: &Ended) -> Result<(), Failure> {
    let alike = |now: &Unwatched| now.status == watched.status && now.printed == watched.printed;
    let refuse = !watched.wrote;
    let first = run(launch, refuse)?;
    if alike(&first) || run(launch, refuse)? != first || !settled(launch, watched) {
        return Ok(());
    }
    let by_hand = refuse && alike(&run(launch, false)?);
    let (id, rule) = if by_hand {
        let rule = "Without a tracer the program writes to the standard output by a plain system \
                    call. It must write through the ring, with and without a tracer.";
        (ids::NOT_THROUGH_RING, rule.to_string())
    } else if first.status != watched.status {
        let status = |status: Option<i32>| match status {
            Some(status) => format!("ends with status {status}"),
            None => "does not end".to_string(),
        };
        let (then, now) = (status(watched.status), status(first.status));
        (ids::EXIT, format!("Under the tracer the program {then}; without one it {now}."))
    } else {
        let rule = "Without a tracer the program prints other lines than under a tracer.";
        (ids::OUTPUT, rule.to_string())
    };
    let mut lines: Vec<String> = Vec::new();
    for (who, printed) in [("watched", &watched.printed), ("unwatched", &first.printed)] {
        let first = printed.first().map_or("nothing", String::as_str);
        lines.push(format!("printed, {who}, {} lines: {first}", printed.len()));
    }
    let did = format!("{} Then it was run without a tracer.", launch.did);
    Err(Failure::new(id, did).kernel(lines).rule(rule))
}

/// Whether the program does the same again in another run under a tracer.
fn settled(launch: &Launch, before: &Ended) -> bool {
    let again = launch.again().and_then(|launch| launch.start().ok()?.end().ok());
    again.is_some_and(|record| Ended::of(&record) == *before)
}

/// How a run without a tracer ended.
#[derive(Debug, PartialEq, Eq)]
struct Unwatched {
    /// `None` if it did not end.
    status: Option<i32>,
    /// The lines that it printed, sorted.
    printed: Vec<String>,
}

fn run(launch: &Launch, no_writes: bool) -> Result<Unwatched, Failure> {
    let broken = |error: std::io::Error| Failure::not_observed(format!("running it: {error}"));
    let mut command = Command::new(&launch.program);
    for name in unset() {
        command.env_remove(name);
    }
    command.args(&launch.args).envs(launch.env.iter().cloned());
    let stdout = match &launch.stdout {
        Some(file) => Stdio::from(file.try_clone().map_err(broken)?),
        None => Stdio::piped(),
    };
    command.stdin(Stdio::piped()).stdout(stdout).stderr(Stdio::null()).process_group(0);
    let filter = no_writes.then(|| filter::no_writes_to(1));
    let limit = launch.file_limit;
    let prepare = move || {
        // SAFETY: this is the child between fork and exec.
        unsafe {
            launch::reset_signals();
            if let Some(bytes) = limit {
                launch::limit_files(bytes);
            }
        }
        filter.as_ref().map_or(Ok(()), |filter| filter.install())
    };
    // SAFETY: the closure only makes system calls; the filter is made before.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn().map_err(broken)?;
    let group = Pid::from_raw(child.id() as i32);
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let bytes = launch.stdin.clone();
    // If the program does not read its input, the thread ends when the pipe breaks.
    std::thread::spawn(move || stdin.map(|mut pipe| pipe.write_all(&bytes)));
    let printed = std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = stdout.map(|mut pipe| pipe.read_to_end(&mut text));
        text
    });
    let mut ended = None;
    testkit::holds_within(LONGEST, || {
        ended = child.try_wait().ok().flatten();
        ended.is_some()
    });
    // Its child processes must not keep the pipe open.
    let _ = killpg(group, Signal::SIGKILL);
    others::kill_all();
    let _ = child.wait();
    let printed = printed.join().unwrap_or_default();
    let mut printed: Vec<String> =
        String::from_utf8_lossy(&printed).lines().map(str::to_string).collect();
    printed.sort();
    let status = ended.map(|end| end.code().unwrap_or_else(|| 128 + end.signal().unwrap_or(0)));
    Ok(Unwatched { status, printed })
}
