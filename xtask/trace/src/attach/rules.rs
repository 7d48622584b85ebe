//! Why a process cannot be joined: the kernel answers with one error for many rules.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use common::environment::Refusal;
use libc::pid_t;

use crate::names::{error_name, printable};
use crate::threads::{status, tids};

/// A number that is no running program, or is this one.
pub fn not_a_program(process: pid_t) -> Option<Refusal> {
    let refusal = |what: String, why: &str, remedy: String| {
        Some(Refusal { what, why: why.to_string(), remedy })
    };
    let Some(leader) = status(process, "Tgid") else {
        return refusal(
            format!("there is no process {process}"),
            "it has ended, or the number is of another machine or container",
            "`ps -e` lists the processes; `pgrep -n NAME` finds the newest of a name".to_string(),
        );
    };
    if leader != process.to_string() {
        return refusal(
            format!("{process} is a thread, not a process"),
            "a process is joined with all its threads",
            format!("`ringtrace --attach {leader}`, its process"),
        );
    }
    if process == std::process::id() as pid_t {
        return refusal(
            format!("{process} is this very tracer"),
            "a process cannot trace itself",
            "the number of the program that you want to see".to_string(),
        );
    }
    if !is_alive(process) && tids(process).iter().all(|tid| !is_alive(*tid)) {
        let parent = status(process, "PPid").unwrap_or_default();
        return refusal(
            format!("process {process} is a zombie: it has ended"),
            "its parent has not asked for its exit status yet",
            format!("look at its parent, process {parent}"),
        );
    }
    // Only a process of the kernel has no memory of its own.
    if status(process, "VmSize").is_none() && is_alive(process) {
        return refusal(
            format!("process {process} is a thread of the kernel"),
            "it runs no program",
            "the number of a program; `ps` shows a kernel's thread in brackets".to_string(),
        );
    }
    None
}

/// Whether a task has not ended.
pub fn is_alive(tid: pid_t) -> bool {
    status(tid, "State").is_some_and(|state| !state.starts_with(['Z', 'X']))
}

/// What decides whether one process may trace another (`ptrace(2)`, "Ptrace access mode
/// checking").
#[derive(Clone, Debug, Default)]
struct Facts {
    pid: pid_t,
    /// Its tracer, and the tracer's name.
    tracer: Option<(pid_t, String)>,
    /// Its user ids: real, effective, saved, of files.
    users: Vec<u32>,
    /// Ours.
    us: u32,
    /// We have `CAP_SYS_PTRACE`.
    privileged: bool,
    /// It has capabilities that we lack.
    mightier: bool,
    /// Its files in `/proc` are not its user's.
    hidden: bool,
    /// `kernel.yama.ptrace_scope`, where there is such a rule.
    yama: Option<u32>,
}

impl Facts {
    fn of(pid: pid_t) -> Facts {
        let capabilities = |tid, field| {
            status(tid, field).and_then(|set| u64::from_str_radix(&set, 16).ok()).unwrap_or(0)
        };
        const SYS_PTRACE: u64 = 1 << 19;
        let me = std::process::id() as pid_t;
        let ours = capabilities(me, "CapEff");
        let tracer = status(pid, "TracerPid").and_then(|tid| tid.parse().ok());
        let users = |tid| -> Vec<u32> {
            let ids = status(tid, "Uid").unwrap_or_default();
            ids.split_whitespace().filter_map(|id| id.parse().ok()).collect()
        };
        let (us, users) = (users(me), users(pid));
        let owner = fs::metadata(format!("/proc/{pid}/status")).map(|about| about.uid());
        let yama = fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope");
        Facts {
            pid,
            tracer: tracer.filter(|tid| *tid != 0).map(|tid: pid_t| {
                // A tracer is a thread; people know its process.
                let process = status(tid, "Tgid").and_then(|pid| pid.parse().ok());
                (process.unwrap_or(tid), status(tid, "Name").unwrap_or_default())
            }),
            hidden: owner.is_ok_and(|owner| users.get(1).is_some_and(|user| *user != owner)),
            users,
            us: us.get(1).copied().unwrap_or(0),
            privileged: ours & SYS_PTRACE != 0,
            mightier: capabilities(pid, "CapPrm") & !ours != 0,
            yama: yama.ok().and_then(|scope| scope.trim().parse().ok()),
        }
    }

    /// The rule that is broken, and what to type.
    fn rule(&self) -> (String, String) {
        let pid = self.pid;
        let as_root = format!("`sudo ringtrace --attach {pid}`");
        if let Some((tracer, name)) = &self.tracer {
            return (
                format!(
                    "process {tracer} ({}) traces it already, and only one can",
                    printable(name)
                ),
                format!("end that one first: Ctrl-C in its terminal, or `kill -INT {tracer}`"),
            );
        }
        if self.yama == Some(3) {
            return (
                "kernel.yama.ptrace_scope is 3: no process may trace".to_string(),
                "another machine: only a reboot resets it".to_string(),
            );
        }
        if self.privileged {
            return (
                "most likely a container or sandbox that forbids ptrace (a seccomp filter, \
                 AppArmor, SELinux), or a process of an outer user namespace"
                    .to_string(),
                "run it outside, on the machine itself".to_string(),
            );
        }
        if self.users.iter().take(3).any(|user| *user != self.us) {
            let user = self.users.iter().find(|user| **user != self.us).unwrap_or(&0);
            return (
                format!("it runs as user {user}, you are user {}, without CAP_SYS_PTRACE", self.us),
                as_root,
            );
        }
        if self.hidden {
            return (
                "it is not dumpable: it asked for that (PR_SET_DUMPABLE), or its file may be run \
                 but not read, or gave it another user's rights"
                    .to_string(),
                as_root,
            );
        }
        if self.mightier {
            return ("it has capabilities that you lack".to_string(), as_root);
        }
        match self.yama {
            Some(1) => (
                "kernel.yama.ptrace_scope is 1: without CAP_SYS_PTRACE only one's own children \
                 may be traced"
                    .to_string(),
                format!(
                    "{as_root}, or `sudo sysctl kernel.yama.ptrace_scope=0`, or start the \
                     program by ringtrace"
                ),
            ),
            Some(2) => (
                "kernel.yama.ptrace_scope is 2: only a process with CAP_SYS_PTRACE may trace"
                    .to_string(),
                as_root,
            ),
            _ => (
                "most likely a container or sandbox that forbids ptrace, or lacks CAP_SYS_PTRACE"
                    .to_string(),
                "run it outside, or allow it there (Docker: `--cap-add SYS_PTRACE`)".to_string(),
            ),
        }
    }
}

/// Explains why a process may not be seized.
pub fn why_not(process: pid_t, error: &io::Error) -> Refusal {
    let (why, remedy) = Facts::of(process).rule();
    let error = error_name(error.raw_os_error().unwrap_or(0));
    Refusal { what: format!("process {process} may not be joined: {error}"), why, remedy }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn says(facts: &Facts, rule: &str, remedy: &str) {
        let (why, try_this) = facts.rule();
        assert!(why.contains(rule), "{why}");
        assert!(try_this.contains(remedy), "{try_this}");
    }

    #[test]
    fn each_rule_has_its_words() {
        let same = Facts { pid: 7, users: vec![5; 4], us: 5, ..Facts::default() };
        says(&same, "container or sandbox", "--cap-add SYS_PTRACE");
        let other = Facts { users: vec![0; 4], ..same.clone() };
        says(&other, "runs as user 0, you are user 5", "`sudo ringtrace --attach 7`");
        says(&Facts { hidden: true, ..same.clone() }, "not dumpable", "sudo");
        says(&Facts { mightier: true, ..same.clone() }, "capabilities that you lack", "sudo");
        says(&Facts { yama: Some(0), ..same.clone() }, "container or sandbox", "");
        says(&Facts { yama: Some(1), ..same.clone() }, "ptrace_scope is 1", "ptrace_scope=0");
        says(&Facts { yama: Some(2), ..same.clone() }, "ptrace_scope is 2", "sudo");
        says(&Facts { yama: Some(3), privileged: true, ..same.clone() }, "is 3", "reboot");
        let traced = Facts { tracer: Some((9, "gdb".into())), privileged: true, ..same };
        says(&traced, "process 9 (gdb) traces it already", "`kill -INT 9`");
    }

    #[test]
    fn what_is_no_program() {
        let what = |pid| not_a_program(pid).map(|refusal| refusal.what).unwrap_or_default();
        assert!(what(i32::MAX).contains("no process"), "{}", what(i32::MAX));
        let me = std::process::id() as pid_t;
        assert!(what(me).contains("this very tracer"));
        // The test runs in its own thread.
        let thread = nix::unistd::gettid().as_raw();
        if thread != me {
            assert!(what(thread).contains("is a thread"), "{}", what(thread));
        }
        let child = std::process::Command::new("true").spawn();
        let mut child = child.expect("a child");
        let pid = child.id() as pid_t;
        testkit::wait_until("its end", || !is_alive(pid));
        assert!(what(pid).contains("is a zombie"), "{}", what(pid));
        child.wait().expect("its status");
    }
}
