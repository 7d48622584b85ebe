//! A day's system calls from outside, where `strace` is installed.

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Result, ensure};

use super::{PATIENCE, holds_within};

/// The calls of one program, recorded by `strace`.
#[derive(Debug)]
pub struct Strace {
    log: PathBuf,
}

impl Strace {
    /// Whether `strace` is installed, knows io_uring and may trace here.
    pub fn works() -> bool {
        Command::new("strace")
            .args(["-e", "trace=io_uring_enter", "-o", "/dev/null", "true"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
    }

    /// A command that runs `program` with `arguments` under `strace`, which records each
    /// io_uring_enter. The program keeps the child's process id, so signals reach it and not
    /// the tracer (`strace -D`).
    pub fn wrap(program: impl AsRef<OsStr>, arguments: &[&str]) -> (Command, Strace) {
        Strace::wrap_with(&["-e", "trace=io_uring_enter"], program, arguments)
    }

    /// Like [`Strace::wrap`], for what the `options` of `strace` ask for.
    pub fn wrap_with(
        options: &[&str],
        program: impl AsRef<OsStr>,
        arguments: &[&str],
    ) -> (Command, Strace) {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log =
            std::env::temp_dir().join(format!("drive-strace-{}-{number}", std::process::id()));
        let mut command = Command::new("strace");
        command.args(["-D", "-f", "-o"]).arg(&log).args(options);
        command.arg("--").arg(program).args(arguments);
        (command, Strace { log })
    }

    /// The io_uring_enter calls, one line each as `strace` writes them, once the program has
    /// ended.
    ///
    /// # Errors
    /// As [`Strace::record`].
    pub fn calls(self) -> Result<Vec<String>> {
        Ok(calls_in(&self.record()?))
    }

    /// Everything that `strace` has written, once the program has ended.
    ///
    /// # Errors
    /// If the record does not show the program's end.
    pub fn record(self) -> Result<String> {
        let mut record = String::new();
        // The tracer is a separate process and may write its last line after the program was
        // reaped.
        let complete = holds_within(PATIENCE, || {
            record = fs::read_to_string(&self.log).unwrap_or_default();
            record.lines().next_back().is_some_and(|line| line.contains(" +++ "))
        });
        ensure!(complete, "strace did not record the program's end:\n{record}");
        Ok(record)
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // Missing if the program was never started.
        let _ = fs::remove_file(&self.log);
    }
}

/// With several threads a call can take two lines, the second `<... NAME resumed>`.
fn calls_in(record: &str) -> Vec<String> {
    record.lines().filter(|line| line.contains("io_uring_enter(")).map(str::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::skipped;

    #[test]
    fn an_interrupted_call_counts_once() {
        let record = "7 io_uring_enter(0, 1, 1, 0x11, NULL, 8 <unfinished ...>\n\
                      8 io_uring_enter(4, 0, 1, 0x1, NULL, 8) = 0\n\
                      7 <... io_uring_enter resumed>) = 1\n\
                      7 --- SIGINT {si_signo=SIGINT} ---\n7 +++ exited with 0 +++\n";
        assert_eq!(calls_in(record).len(), 2);
    }

    #[test]
    fn a_skipped_test_is_seen_though_it_passes() {
        const NAME: &str = "a_program_under_strace_keeps_its_process_id";
        let mut alone = Command::new(std::env::current_exe().unwrap());
        alone.args(["--exact", &format!("strace::tests::{NAME}")]);
        let output = alone.env("PATH", "/nowhere").output().unwrap();
        assert!(output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("SKIPPED {NAME}: no strace here")), "{said}");
    }

    #[test]
    fn a_program_under_strace_keeps_its_process_id() {
        if !Strace::works() {
            const NAME: &str = "a_program_under_strace_keeps_its_process_id";
            return skipped(NAME, "no strace here that works");
        }
        let (mut command, strace) = Strace::wrap("sh", &["-c", "echo $$"]);
        let child = command.stdout(Stdio::piped()).spawn().unwrap();
        let pid = child.id();
        let output = child.wait_with_output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), pid.to_string());
        assert_eq!(strace.calls().unwrap(), Vec::<String>::new());
    }
}
