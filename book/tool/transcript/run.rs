//! Runs the commands of a transcript, as a reader would type them.

use std::io::{self, BufRead as _, BufReader, PipeWriter};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::problem::Complaint;
use crate::transcript::{self, Transcript};

/// What a server says when it is ready.
pub const READY: &str = "listening on";

/// The port that the days listen on, as the reader types it.
const PORT: &str = "4242";

/// How long a command may take. Only a failure takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Time for a command that was stopped to end by itself.
const GRACE: Duration = Duration::from_secs(3);

/// What happens while a transcript runs: commands by their place in it.
#[derive(Debug)]
pub enum Heard<'t> {
    /// A command was started.
    Starts(usize),
    /// A command printed a line.
    Printed(&'t str),
}

/// A run of a transcript, to be listened to and stopped.
pub struct Play<'a> {
    /// What the shell gets for a command, of which this is the place and the text.
    pub command: &'a dyn Fn(usize, &str) -> String,
    /// Hears what happens.
    pub hear: Arc<dyn Fn(Heard<'_>) + Send + Sync>,
    /// Set by anybody, it ends the run.
    pub stop: &'a AtomicBool,
}

/// What a transcript's commands printed, line by line, or the line of the command that failed
/// and how.
pub fn run(root: &Path, transcript: &Transcript) -> Result<Vec<Vec<String>>, (usize, Complaint)> {
    let stop = AtomicBool::new(false);
    let play = Play { command: &|_, text| text.to_owned(), hear: Arc::new(|_| {}), stop: &stop };
    play.run(root, transcript)
}

impl Play<'_> {
    /// As [`run`]. A run that was stopped has printed what it has printed.
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
                running.until_end(self.stop, PATIENCE).map_err(in_line)?;
                outputs[index] = running.lines(&port);
            }
        }
        for (index, command, mut running) in servers {
            running.stop(command, self.stop).map_err(|wrong| (command.line, wrong))?;
            outputs[index] = running.lines(&port);
        }
        Ok(outputs)
    }
}

/// Runs one command that may take as long as a compiler; its end, and what it printed.
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

/// A port that nobody listens on, of as many digits as the one in the book, so that lines break
/// where they do there; none whose digits the transcript uses for something else.
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

/// A command that was started, in a process group of its own.
struct Running {
    child: Child,
    guard: Child,
    /// While this is open, the guard waits.
    _life: PipeWriter,
    printed: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    started: Instant,
    /// When it was asked to end.
    interrupted: Option<Instant>,
}

impl Running {
    fn start(
        root: &Path,
        text: &str,
        hear: impl Fn(&str) + Send + 'static,
    ) -> Result<Self, Complaint> {
        let no = |wrong: io::Error| Complaint::new(format!("cannot be run: {wrong}"), "sh -c …");
        let (from, to) = io::pipe().map_err(no)?;
        let mut command = Command::new("sh");
        command
            .args(["-c", text])
            .current_dir(root)
            .stdin(Stdio::null())
            .stdout(to.try_clone().map_err(no)?)
            .stderr(to)
            .process_group(0);
        environment(&mut command);
        testkit::heed_stop_signals(&mut command);
        let mut child = command.spawn().map_err(no)?;
        // The ends of the pipe that the command was given are open in it, too.
        drop(command);
        let (guard, life) = guard(&child).map_err(|wrong| {
            let _ = child.kill().and_then(|()| child.wait());
            no(wrong)
        })?;
        let printed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            let mut from = BufReader::new(from);
            let mut line = Vec::new();
            while let Ok(1..) = from.read_until(b'\n', &mut line) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(&line);
                hear(&String::from_utf8_lossy(&line));
                line.clear();
            }
        });
        Ok(Self {
            child,
            guard,
            _life: life,
            printed,
            reader: Some(reader),
            started: Instant::now(),
            interrupted: None,
        })
    }

    /// What it has printed so far.
    fn text(&self) -> String {
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Its lines with the port that the reader knows.
    fn lines(&self, port: &str) -> Vec<String> {
        let text = self.text().replace(port, PORT);
        let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Its end, if it has come.
    fn ended(&mut self) -> Result<Option<ExitStatus>, Complaint> {
        let ended = self.child.try_wait();
        ended.map_err(|wrong| Complaint::new(format!("cannot be waited for: {wrong}"), "try again"))
    }

    /// Waits until a server is ready, or the run is stopped.
    fn until_ready(&mut self, stop: &AtomicBool) -> Result<(), Complaint> {
        while !self.text().contains(READY) && !stop.load(Ordering::Relaxed) {
            if self.ended()?.is_some() {
                self.finish();
                return Err(self.complaint("ended before it listened"));
            }
            if self.started.elapsed() > PATIENCE {
                return Err(self.complaint("does not say that it is `listening on` anything"));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// Waits until it ends, which it does within this time, or soon after the run is stopped.
    fn until_end(
        &mut self,
        stop: &AtomicBool,
        patience: Duration,
    ) -> Result<ExitStatus, Complaint> {
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            if self.started.elapsed() > patience {
                return Err(self.complaint("does not end"));
            }
            if stop.load(Ordering::Relaxed) {
                self.interrupt();
                if self.interrupted.is_some_and(|since| since.elapsed() > GRACE) {
                    let _ = killpg(self.group(), Signal::SIGKILL);
                }
            }
            std::thread::sleep(POLL);
        };
        self.finish();
        let stopped = stop.load(Ordering::Relaxed);
        if status.code() == Some(127) && !stopped {
            return Err(self.complaint("is not installed here"));
        }
        match status.signal() {
            // The server ends as it should; Cargo and the shell around it die of the signal.
            Some(signal) if self.interrupted.is_some() && signal == Signal::SIGINT as i32 => {}
            Some(signal) if !stopped => {
                return Err(self.complaint(&format!("was killed by signal {signal}")));
            }
            _ => {}
        }
        Ok(status)
    }

    /// Asks it to end, once.
    fn interrupt(&mut self) {
        if self.interrupted.is_none() && killpg(self.group(), Signal::SIGINT).is_ok() {
            self.interrupted = Some(Instant::now());
        }
    }

    /// Ends a server, unless `--max` lets it end by itself, and waits for it.
    fn stop(
        &mut self,
        command: &transcript::Command,
        stop: &AtomicBool,
    ) -> Result<ExitStatus, Complaint> {
        if !command.text.contains("--max") {
            self.interrupt();
        }
        self.started = Instant::now();
        self.until_end(stop, PATIENCE)
    }

    /// What is left of its group is ended, and the rest of its output read.
    fn finish(&mut self) {
        let _ = killpg(self.group(), Signal::SIGKILL);
        let _ = self.guard.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }

    fn group(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap_or(i32::MAX))
    }

    fn complaint(&self, what: &str) -> Complaint {
        let text = self.text();
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(20)..].join("\n");
        Complaint::new(format!("the command {what}"), format!("it printed:\n{last}"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.reader.is_some() {
            let _ = killpg(self.group(), Signal::SIGKILL);
            let _ = self.child.wait();
            let _ = self.guard.wait();
        }
    }
}

/// A process that ends the command's group, with itself, when this program ends, however it ends:
/// then the other end of its standard input is closed.
fn guard(child: &Child) -> io::Result<(Child, PipeWriter)> {
    let (waits, life) = io::pipe()?;
    let mut guard = Command::new("sh");
    guard.args(["-c", "trap '' INT TERM HUP; read -r _; kill -KILL 0"]);
    guard.stdin(waits).stdout(Stdio::null()).stderr(Stdio::null());
    guard.process_group(i32::try_from(child.id()).unwrap_or(i32::MAX));
    Ok((guard.spawn()?, life))
}

/// What a command finds around it: a terminal's width and no colours, and nothing of the Cargo
/// that started this program, which would have everything built again.
pub fn environment(command: &mut Command) {
    const KEPT: [&str; 4] =
        ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_NET_OFFLINE", "CARGO_BUILD_JOBS"];
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && !KEPT.contains(&text.as_ref()) {
            command.env_remove(&name);
        }
    }
    command
        .env("CARGO_TERM_QUIET", "true")
        .env("CARGO_TERM_COLOR", "never")
        .env("NO_COLOR", "1")
        .env("COLUMNS", "80")
        .env("LC_ALL", "C.UTF-8")
        .env_remove("RUST_BACKTRACE");
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
