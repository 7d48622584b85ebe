//! Runs the commands of a transcript, as a reader would type them.

use std::io::{self, Read as _};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::problem::Complaint;
use crate::transcript::{self, Transcript};

/// What a server says when it is ready.
const READY: &str = "listening on";

/// The port that the days listen on, as the reader types it.
const PORT: &str = "4242";

/// How long a command may take. Only a failure takes that long.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often a running command is looked at.
const POLL: Duration = Duration::from_millis(10);

/// What a transcript's commands printed, line by line, or the line of the command that failed
/// and how.
pub fn run(root: &Path, transcript: &Transcript) -> Result<Vec<Vec<String>>, (usize, Complaint)> {
    let port = free_port(transcript).map_err(|wrong| (1, wrong))?;
    let mut servers = Vec::new();
    let mut outputs = vec![Vec::new(); transcript.commands.len()];
    for (index, command) in transcript.commands.iter().enumerate() {
        let text = command.text.replace(PORT, &port);
        let in_line = |wrong| (command.line, wrong);
        let mut running = Running::start(root, &text).map_err(in_line)?;
        if command.background {
            running.until_ready().map_err(in_line)?;
            servers.push((index, command, running));
        } else {
            running.until_end().map_err(in_line)?;
            outputs[index] = running.lines(&port);
        }
    }
    for (index, command, mut running) in servers {
        running.stop(command).map_err(|wrong| (command.line, wrong))?;
        outputs[index] = running.lines(&port);
    }
    Ok(outputs)
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
    printed: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    started: Instant,
    /// Whether it was asked to end.
    interrupted: bool,
}

impl Running {
    fn start(root: &Path, text: &str) -> Result<Self, Complaint> {
        let no = |wrong: io::Error| Complaint::new(format!("cannot be run: {wrong}"), "sh -c …");
        let (mut from, to) = io::pipe().map_err(no)?;
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
        testkit::die_with_parent(&mut command);
        let child = command.spawn().map_err(no)?;
        // The ends of the pipe that the command was given are open in it, too.
        drop(command);
        let printed = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&printed);
        let reader = std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut piece) {
                kept.lock().unwrap_or_else(PoisonError::into_inner).extend(&piece[..length]);
            }
        });
        Ok(Self {
            child,
            printed,
            reader: Some(reader),
            started: Instant::now(),
            interrupted: false,
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

    /// Waits until a server is ready.
    fn until_ready(&mut self) -> Result<(), Complaint> {
        while !self.text().contains(READY) {
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

    /// Waits until it ends.
    fn until_end(&mut self) -> Result<(), Complaint> {
        let status = loop {
            if let Some(status) = self.ended()? {
                break status;
            }
            if self.started.elapsed() > PATIENCE {
                return Err(self.complaint("does not end"));
            }
            std::thread::sleep(POLL);
        };
        self.finish();
        if status.code() == Some(127) {
            return Err(self.complaint("is not installed here"));
        }
        match status.signal() {
            // The server ends as it should; Cargo and the shell around it die of the signal.
            Some(signal) if self.interrupted && signal == Signal::SIGINT as i32 => Ok(()),
            Some(signal) => Err(self.complaint(&format!("was killed by signal {signal}"))),
            None => Ok(()),
        }
    }

    /// Ends a server, unless `--max` lets it end by itself, and waits for it.
    fn stop(&mut self, command: &transcript::Command) -> Result<(), Complaint> {
        if !command.text.contains("--max") {
            self.interrupted = killpg(self.group(), Signal::SIGINT).is_ok();
        }
        self.started = Instant::now();
        self.until_end()
    }

    /// What is left of its group is ended, and the rest of its output read.
    fn finish(&mut self) {
        let _ = killpg(self.group(), Signal::SIGKILL);
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
        }
    }
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
