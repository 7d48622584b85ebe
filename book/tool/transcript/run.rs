//! Runs the commands of a transcript, as a reader would type them.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use super::running::{PATIENCE, environment};
use super::running::{PORT, Running};
use crate::problem::Complaint;
use crate::transcript::Transcript;

/// Events of a run; commands are named by their place in the transcript.
#[derive(Debug)]
pub enum Heard<'t> {
    /// A command was started.
    Starts(usize),
    /// A command printed a line.
    Printed(&'t str),
}

/// A run of a transcript, with a listener and a way to stop it.
pub struct Play<'a> {
    /// Makes the shell's command line of a command, from its place and its text.
    pub command: &'a dyn Fn(usize, &str) -> String,
    /// Receives the events.
    pub hear: Arc<dyn Fn(Heard<'_>) + Send + Sync>,
    /// How long a command may take.
    pub patience: Duration,
    /// Any thread may set it to end the run.
    pub stop: &'a AtomicBool,
}

/// The output of a transcript's commands, line by line, or the line of the command that failed, and
/// how.
pub fn run(root: &Path, transcript: &Transcript) -> Result<Vec<Vec<String>>, (usize, Complaint)> {
    let stop = AtomicBool::new(false);
    let (command, patience) = (&|_, text: &str| text.to_owned(), PATIENCE);
    let play = Play { command, hear: Arc::new(|_| {}), patience, stop: &stop };
    play.run(root, transcript)
}

impl Play<'_> {
    /// As [`run`]. A stopped run returns what it has printed.
    pub fn run(
        &self,
        root: &Path,
        transcript: &Transcript,
    ) -> Result<Vec<Vec<String>>, (usize, Complaint)> {
        let port = free_port(transcript).map_err(|wrong| (1, wrong))?;
        let mut servers = Vec::new();
        let mut outputs = vec![Vec::new(); transcript.commands.len()];
        for (index, command) in transcript.commands.iter().enumerate() {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            let text = (self.command)(index, &command.text).replace(PORT, &port);
            let in_line = |wrong| (command.line, wrong);
            (self.hear)(Heard::Starts(index));
            let hear = {
                let (hear, port) = (Arc::clone(&self.hear), port.clone());
                move |line: &str| hear(Heard::Printed(&line.replace(&port, PORT)))
            };
            let mut running = Running::start(root, &text, hear).map_err(in_line)?;
            if command.background {
                running.until_ready(self.stop).map_err(in_line)?;
                servers.push((index, command, running));
            } else {
                running.until_end(self.stop, self.patience).map_err(in_line)?;
                outputs[index] = running.lines(&port);
            }
        }
        for (index, command, mut running) in servers {
            running.stop(&command.text, self.stop).map_err(|wrong| (command.line, wrong))?;
            outputs[index] = running.lines(&port);
        }
        Ok(outputs)
    }
}

/// Runs one command that may take as long as a compiler; returns its end and its output.
pub fn alone(
    root: &Path,
    text: &str,
    stop: &AtomicBool,
) -> Result<(ExitStatus, String), Complaint> {
    const PATIENCE: Duration = Duration::from_secs(900);
    let mut running = Running::start(root, text, |_| {})?;
    let status = running.until_end(stop, PATIENCE)?;
    Ok((status, running.text()))
}

/// A free port with as many digits as the one in the book, so that lines break in the same places,
/// and whose digits the transcript does not use otherwise.
fn free_port(transcript: &Transcript) -> Result<String, Complaint> {
    if !transcript.shown.contains(PORT) {
        return Ok(PORT.to_owned());
    }
    let start = u16::try_from(std::process::id() % 7000).unwrap_or(0);
    (0..7000)
        .map(|step| 2000 + (start + step * 37) % 7000)
        .filter(|port| !transcript.shown.contains(&port.to_string()))
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .map(|port| port.to_string())
        .ok_or_else(|| Complaint::new("no port is free on 127.0.0.1", "look at: ss -ltn"))
}

/// Builds what the transcripts run, so that none of them waits for a compiler.
pub fn prepare(root: &Path, examples: bool) -> Result<(), Complaint> {
    let mut command = Command::new("cargo");
    command.args(["build", "--quiet", "--locked", "--bins"]);
    if examples {
        command.arg("--examples");
    }
    environment(&mut command);
    testkit::die_with_parent(&mut command);
    let status = command.current_dir(root).stdin(Stdio::null()).status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(_) => Err(Complaint::new("the days cannot be built", "cargo build")),
        Err(wrong) => {
            Err(Complaint::new(format!("Cargo cannot be started: {wrong}"), "cargo build"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(text: &str) -> Result<Vec<Vec<String>>, (usize, Complaint)> {
        run(Path::new("/"), &Transcript::parse(text).unwrap())
    }

    #[test]
    fn both_outputs_are_read_in_their_order() {
        let outputs = ran("$ echo one; echo two >&2; echo three\n$ true\n").unwrap();
        assert_eq!(outputs, [vec!["one".to_owned(), "two".to_owned(), "three".to_owned()], vec![]]);
    }

    #[test]
    fn a_server_is_waited_for_and_stopped() {
        let text = "\
$ trap 'echo bye; exit 0' INT; echo listening on 4242; while :; do sleep 0.01; done &
$ echo client of 4242
";
        let outputs = ran(text).unwrap();
        assert_eq!(outputs[0], ["listening on 4242", "bye"]);
        assert_eq!(outputs[1], ["client of 4242"]);
    }

    #[test]
    fn a_server_is_stopped_from_a_job_in_the_background() {
        // As `cargo test &` in a script: SIGINT is ignored there.
        let mut again = Command::new("sh");
        again.args(["-c", "trap '' INT; exec \"$0\" \"$@\""]);
        again.arg(std::env::current_exe().unwrap());
        again.args(["--exact", "transcript::run::tests::a_server_is_waited_for_and_stopped"]);
        let output = again.output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(text.contains("1 passed; 0 failed"), "{text}");
    }

    #[test]
    fn failures_have_their_line() {
        let (line, wrong) = ran("$ true\n$ no-such-program-here\n").unwrap_err();
        assert_eq!((line, wrong.what.as_str()), (2, "the command is not installed here"));
        let (line, wrong) = ran("$ echo early &\n").unwrap_err();
        assert_eq!((line, wrong.what.as_str()), (1, "the command ended before it listened"));
        assert!(wrong.remedy.contains("early"), "{wrong:?}");
    }
}
