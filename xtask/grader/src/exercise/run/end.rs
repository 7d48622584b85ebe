//! The end of a run: nothing that the program started lives on, and the record is complete.

use std::path::Path;
use std::thread;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use ringtrace::Ended;
use ringtrace::event::What;

use super::{LOOK, Run};
use crate::exercise::failure::Failure;
use crate::exercise::ids;
use crate::exercise::launch::lock;
use crate::exercise::others;
use crate::exercise::record::Record;

impl Run {
    pub(super) fn kill_all(&self) {
        let Some(trace) = &self.trace else { return };
        let _ = kill(self.pid, Signal::SIGKILL);
        // Its child processes, and theirs.
        while !trace.ended() {
            others::kill_all();
            for event in trace.events() {
                match &event.what {
                    What::Task(task) if task.process && is_traced_by_us(task.new) => {
                        let _ = kill(Pid::from_raw(task.new), Signal::SIGKILL);
                    }
                    _ => {}
                }
            }
            thread::sleep(LOOK);
        }
    }

    /// The failure of a program that ended by itself, although the check needs it.
    pub(super) fn ended_early(&mut self, rule: &str) -> Failure {
        let record = self.over();
        record.need_exit().err().unwrap_or_else(|| {
            record.fail(ids::ENDED_EARLY).kernel(record.last_lines(|_| true)).rule(rule)
        })
    }

    /// Ends the run and completes the record. May be called again.
    pub(super) fn over(&mut self) -> Record {
        let Some(trace) = self.trace.take() else { return self.record() };
        // They may keep the pipes of its output open.
        others::kill_all();
        let (Ended { status, summary, .. }, events, calls) = trace.finish_with_record();
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        let record = Record {
            events,
            calls,
            summary,
            stdout,
            stderr,
            stdout_is: self.stdout_is.clone(),
            stderr_is: self.stderr_is.clone(),
            status: Some(status),
            did: self.did.clone(),
            burnt: self.burnt,
        };
        lock(&self.seen).over(&record);
        self.done = Some(record.clone());
        record
    }
}

/// Whether a process is still the one that we trace, and not a new one with the same number.
fn is_traced_by_us(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let tracer = status.lines().find_map(|line| line.strip_prefix("TracerPid:")).unwrap_or("0");
    Path::new("/proc/self/task").join(tracer.trim()).exists() && tracer.trim() != "0"
}

impl Drop for Run {
    fn drop(&mut self) {
        if self.trace.is_some() {
            self.kill_all();
            let _ = self.over();
        }
    }
}
