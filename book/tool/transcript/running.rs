//! A running command, in its own process group, which ends with this program.

use std::io::{self, BufRead as _, BufReader, PipeWriter};
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

/// The port that the days listen on, as the reader types it.
pub const PORT: &str = "4242";

/// A server prints this when it is ready.
pub const READY: &str = "listening on";

/// How long a command may take. Only a failure takes this long.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// How long a stopped command may take to end by itself.
const GRACE: Duration = Duration::from_secs(3);

/// How often to look at a running command.
const POLL: Duration = Duration::from_millis(10);

/// A command that was started, in its own process group.
pub struct Running {
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
    /// Starts it by the shell, in this folder; `hear` gets each line that it prints.
    pub fn start(
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
        // The command also holds the ends of the pipe that it was given.
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

    /// Its output so far.
    pub fn text(&self) -> String {
        let printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&printed).into_owned()
    }

    /// Its lines, with the port of the book.
    pub fn lines(&self, port: &str) -> Vec<String> {
        let text = self.text().replace(port, PORT);
        let mut lines: Vec<String> = text.lines().map(|line| line.trim_end().to_owned()).collect();
        while lines.last().is_some_and(String::is_empty) {
            lines.pop();
        }
        lines
    }

    /// Its exit status, if it has ended.
    fn ended(&mut self) -> Result<Option<ExitStatus>, Complaint> {
        let ended = self.child.try_wait();
        ended.map_err(|wrong| Complaint::new(format!("cannot be waited for: {wrong}"), "try again"))
    }

    /// Waits until a server is ready, or the run is stopped.
    pub fn until_ready(&mut self, stop: &AtomicBool) -> Result<(), Complaint> {
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

    /// Waits until it ends, within this time, or soon after the run is stopped.
    pub fn until_end(
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
            // The server ends in order; Cargo and the shell around it die of the signal.
            Some(signal) if self.interrupted.is_some() && signal == Signal::SIGINT as i32 => {}
            Some(signal) if !stopped => {
                return Err(self.complaint(&format!("was killed by signal {signal}")));
            }
            _ => {}
        }
        Ok(status)
    }

    /// Asks it to end, if that was not done yet.
    fn interrupt(&mut self) {
        if self.interrupted.is_none() && killpg(self.group(), Signal::SIGINT).is_ok() {
            self.interrupted = Some(Instant::now());
        }
    }

    /// Ends a server, unless `--max` lets it end by itself, and waits for it.
    pub fn stop(&mut self, text: &str, stop: &AtomicBool) -> Result<ExitStatus, Complaint> {
        if !text.contains("--max") {
            self.interrupt();
        }
        self.started = Instant::now();
        self.until_end(stop, PATIENCE)
    }

    /// Ends the rest of its group, and reads the rest of its output.
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

/// A process that ends the command's group, and itself, when this program ends for any reason: then
/// the other end of its standard input is closed.
fn guard(child: &Child) -> io::Result<(Child, PipeWriter)> {
    let (waits, life) = io::pipe()?;
    let mut guard = Command::new("sh");
    guard.args(["-c", "trap '' INT TERM HUP; read -r _; kill -KILL 0"]);
    guard.stdin(waits).stdout(Stdio::null()).stderr(Stdio::null());
    guard.process_group(i32::try_from(child.id()).unwrap_or(i32::MAX));
    Ok((guard.spawn()?, life))
}

/// The environment of a command: a terminal's width and no colours, and no variables of the Cargo
/// that started this program, which would cause a new build.
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
