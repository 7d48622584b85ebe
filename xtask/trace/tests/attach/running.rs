//! A program that runs, and the tracer that joins it: what the tests say to both.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use super::programs;

/// A program that runs.
pub struct Running {
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The process to join: its own, or a child that it names.
    pub pid: u32,
}

pub fn again(program: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    command.args(programs::AGAIN).env("ATTACHED", program);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit());
    // Some systems let only a parent trace; these programs allow any process.
    // SAFETY: plain numbers, and nothing else, between fork and exec.
    unsafe {
        std::os::unix::process::CommandExt::pre_exec(&mut command, || {
            libc::prctl(libc::PR_SET_PTRACER, libc::PR_SET_PTRACER_ANY, 0, 0, 0);
            Ok(())
        });
    }
    testkit::die_with_parent(&mut command);
    command
}

impl Running {
    /// Starts a program. `None` if this kernel cannot run it.
    pub fn start(mut command: Command) -> Option<Running> {
        let mut child = command.spawn().expect("the program");
        let output = BufReader::new(child.stdout.take().expect("its words"));
        let input = child.stdin.take();
        let pid = child.id();
        let mut running = Running { child, input, output, pid };
        // The test harness prints a line first.
        let first = loop {
            let line = running.line();
            if line.starts_with("ready") || line.starts_with("SKIPPED") {
                break line;
            }
        };
        let Some(named) = first.strip_prefix("ready") else {
            testkit::skipped("attach", first);
            return None;
        };
        running.pid = named.trim().parse().unwrap_or(running.pid);
        Some(running)
    }

    pub fn of(program: &str) -> Running {
        Running::start(again(program)).expect("every kernel with io_uring can run it")
    }

    pub fn pid(&self) -> String {
        self.pid.to_string()
    }

    pub fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.output.read_line(&mut line).expect("its words"), 0, "it ended");
        line.trim_end().to_string()
    }

    pub fn write(&mut self, byte: &str) {
        let input = self.input.as_mut().expect("not closed yet");
        input.write_all(byte.as_bytes()).expect("it listens");
    }

    /// Writes a byte to the program `echo`, which answers with it.
    pub fn echoes(&mut self, byte: &str) {
        self.write(byte);
        assert_eq!(self.line(), byte);
    }

    /// The thread that sleeps in an enter, once there is one.
    pub fn falls_asleep(&self) -> i32 {
        let enter = format!("{} ", libc::SYS_io_uring_enter);
        let mut asleep = 0;
        testkit::wait_until("a sleeping enter", || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", self.pid())).expect("tasks");
            let sleeper = tasks.filter_map(Result::ok).find(|task| {
                let call = std::fs::read_to_string(task.path().join("syscall"));
                call.is_ok_and(|call| call.starts_with(&enter))
            });
            let tid = sleeper.and_then(|task| task.file_name().to_str()?.parse().ok());
            asleep = tid.unwrap_or(0);
            tid.is_some()
        });
        asleep
    }

    /// Sends a signal to the thread that sleeps, and waits until it sleeps again.
    pub fn disturb(&self, signal: Signal) {
        let tid = self.falls_asleep();
        // SAFETY: plain numbers.
        unsafe { libc::syscall(libc::SYS_tgkill, self.child.id(), tid, signal as i32) };
        testkit::wait_until("the signal to be gone", || {
            let status = std::fs::read_to_string(format!("/proc/{tid}/status")).expect("it lives");
            status.contains("SigPnd:\t0000000000000000")
        });
        self.falls_asleep();
    }

    /// Ends its input; returns the rest of its output.
    pub fn end(mut self) -> String {
        drop(self.input.take());
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).expect("its words");
        let status = self.child.wait().expect("its end");
        assert!(status.success(), "{status}: {rest}");
        rest
    }
}

/// `ringtrace --attach PID` at work.
pub struct Joined {
    pub child: Child,
    pub words: BufReader<ChildStderr>,
    events: PathBuf,
    _folder: tempfile::TempDir,
}

pub fn ringtrace(pid: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ringtrace"));
    command.args(["--attach", pid]).stdin(Stdio::null()).stdout(Stdio::null());
    command.stderr(Stdio::piped());
    testkit::die_with_parent(&mut command);
    command
}

impl Joined {
    pub fn start(mut command: Command) -> Joined {
        let folder = tempfile::tempdir().expect("a folder");
        // Readable for another user, too.
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o777);
        std::fs::set_permissions(folder.path(), open).expect("our folder");
        let events = folder.path().join("events");
        let mut child = command.arg("--json").arg(&events).spawn().expect("ringtrace");
        let words = BufReader::new(child.stderr.take().expect("its words"));
        Joined { child, words, events, _folder: folder }
    }

    /// Reads what it says up to a line with these words.
    pub fn says(&mut self, words: &str) {
        let mut all = String::new();
        while !all.lines().last().is_some_and(|line| line.contains(words)) {
            assert_ne!(self.words.read_line(&mut all).expect("its words"), 0, "{words}: {all}");
        }
    }

    /// Sends Ctrl-C or another signal. Returns the rest of the output, and the events.
    pub fn let_go(self) -> (String, Vec<Value>) {
        let _ = kill(Pid::from_raw(self.child.id() as i32), Signal::SIGINT);
        self.ends()
    }

    pub fn ends(mut self) -> (String, Vec<Value>) {
        let mut rest = String::new();
        self.words.read_to_string(&mut rest).expect("its words");
        assert_eq!(self.child.wait().expect("its end").code(), Some(0), "{rest}");
        let events = std::fs::read_to_string(&self.events).expect("the events");
        let events = events.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        (rest, events)
    }
}
