//! Running a program to its end.

use std::io::{self, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{SigHandler, Signal, signal};

use super::holds_within;

/// How long the pipes of a dead process may stay open (its own child may hold them).
pub(super) const LAST_WORDS: Duration = Duration::from_secs(2);

/// Runs `command` to its end and collects what it prints, where that is piped.
///
/// # Errors
/// If it cannot be started, or has not ended within `patience`: then it is killed.
pub fn output_within(mut command: Command, patience: Duration) -> Result<Output> {
    let mut child = command.spawn().with_context(|| cannot_start(&command))?;
    let stdout = child.stdout.take().map(collect);
    let stderr = child.stderr.take().map(collect);
    let Some(status) = exit_within(&mut child, patience)? else {
        child.kill().and_then(|()| child.wait()).context("killing it")?;
        bail!("it still runs after {} s; it was killed", patience.as_secs());
    };
    let all = |pipe: Option<Receiver<Vec<u8>>>| {
        pipe.and_then(|bytes| bytes.recv_timeout(LAST_WORDS).ok()).unwrap_or_default()
    };
    Ok(Output { status, stdout: all(stdout), stderr: all(stderr) })
}

/// Lets SIGINT and SIGTERM end the child, or reach its trap, even where this process ignores them:
/// for children that we end by a signal.
///
/// A child inherits ignored signals. A script starts `cargo test &` with SIGINT ignored, and a
/// shell cannot trap a signal that was ignored when it started (`trap` in POSIX).
pub fn heed_stop_signals(command: &mut Command) {
    let heed = || -> io::Result<()> {
        for number in [Signal::SIGINT, Signal::SIGTERM] {
            // SAFETY: the default action runs no code of ours.
            unsafe { signal(number, SigHandler::SigDfl) }?;
        }
        Ok(())
    };
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: it calls signal(2) with constants.
    unsafe { command.pre_exec(heed) };
}

/// Makes the kernel kill the child when its parent dies, even without a chance to clean up
/// (SIGKILL, a closed terminal): otherwise a server would go on listening.
///
/// The parent is the *thread* that starts the child (`PR_SET_PDEATHSIG(2const)`), so this is
/// for children that a main thread starts.
pub fn die_with_parent(command: &mut Command) {
    // SAFETY: the closure runs in the child after fork, where only what is async-signal-safe
    // is allowed: it makes one system call, which touches no memory.
    unsafe { command.pre_exec(|| Ok(set_pdeathsig(Signal::SIGKILL)?)) };
}

/// Reads a pipe to its end on a separate thread.
fn collect(mut pipe: impl Read + Send + 'static) -> Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        sender.send(bytes)
    });
    receiver
}

/// The exit status, or `None` if the child still runs after `patience`.
pub(super) fn exit_within(child: &mut Child, patience: Duration) -> Result<Option<ExitStatus>> {
    let mut ended = None;
    holds_within(patience, || {
        ended = child.try_wait().transpose();
        ended.is_some()
    });
    Ok(ended.transpose()?)
}

pub(super) fn cannot_start(command: &Command) -> String {
    format!("cannot start {}", command.get_program().to_string_lossy())
}

/// An exit status in words: `exit status 1`, or `killed by SIGKILL`.
pub fn in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(number)) => match Signal::try_from(number) {
            Ok(signal) => format!("killed by {signal}"),
            Err(_) => format!("killed by signal {number}"),
        },
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use std::process::Stdio;

    use super::*;
    use crate::PATIENCE;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    #[test]
    fn a_program_is_heard_to_its_end() {
        // More than a pipe holds, so that the test must read while it runs.
        let script = "head -c 200000 /dev/zero; echo oops >&2; exit 3";
        let output = output_within(shell(script), PATIENCE).unwrap();
        assert_eq!(in_words(output.status), "exit status 3");
        assert_eq!((output.stdout.len(), output.stderr.as_slice()), (200_000, &b"oops\n"[..]));
    }

    #[test]
    fn one_that_does_not_end_is_killed() {
        let command = shell("exec sleep 60");
        let error = output_within(command, Duration::from_millis(20)).unwrap_err();
        assert_eq!(error.to_string(), "it still runs after 0 s; it was killed");
    }

    #[test]
    fn servers_can_be_stopped_from_a_job_in_the_background() {
        // As `cargo test &` in a script; the tests that send a signal run once more.
        let mut again = Command::new("sh");
        again.args(["-c", "trap '' INT TERM; exec \"$0\" \"$@\""]);
        again.arg(std::env::current_exe().unwrap());
        again.args(["--exact", "talking::tests::a_talking_server_is_heard_to_the_end"]);
        again.arg("server::tests::a_server_is_started_asked_to_stop_and_heard_to_the_end");
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("2 passed; 0 failed"), "{text}");
    }
}
